/**
 * The engine's addresses below the issuer (CONTRACT 4) and the methods each takes, so that everything else is a plain
 * 404 or 405 before the engine is asked. `machine` addresses are called by software: no page, no cookie, no template.
 */

export interface Endpoint {
  readonly path: string
  readonly methods: readonly string[]
  readonly machine: boolean
  /** Also everything one segment below (`/authorize/:uid`), with these methods. */
  readonly below?: readonly string[]
}

const machine = (path: string, methods: readonly string[], below?: readonly string[]): Endpoint => ({
  path,
  methods: [...methods, 'OPTIONS'],
  machine: true,
  ...(below && { below: [...below, 'OPTIONS'] }),
})
const browser = (path: string, methods: readonly string[], below?: readonly string[]): Endpoint => ({
  path,
  methods,
  machine: false,
  ...(below && { below }),
})

export const endpoints: readonly Endpoint[] = [
  machine('/.well-known/openid-configuration', ['GET', 'HEAD']),
  machine('/.well-known/oauth-authorization-server', ['GET', 'HEAD']),
  machine('/.well-known/webfinger', ['GET', 'HEAD']),
  machine('/jwks', ['GET', 'HEAD']),
  machine('/token', ['POST']),
  machine('/userinfo', ['GET', 'HEAD', 'POST']),
  machine('/introspect', ['POST']),
  machine('/revoke', ['POST']),
  machine('/par', ['POST']),
  machine('/register', ['POST'], ['GET', 'HEAD', 'PUT', 'DELETE']),
  browser('/authorize', ['GET', 'HEAD', 'POST'], ['GET', 'HEAD']),
  browser('/session/end', ['GET', 'HEAD', 'POST']),
  browser('/session/end/confirm', ['POST']),
  browser('/session/end/success', ['GET', 'HEAD']),
]

const byPath = new Map(endpoints.map((endpoint) => [endpoint.path, endpoint]))

/** @returns the endpoint of a path below the issuer and the methods it takes there, or undefined */
export const endpointOf = (path: string): { endpoint: Endpoint; methods: readonly string[] } | undefined => {
  const exact = byPath.get(path)
  if (exact) return { endpoint: exact, methods: exact.methods }
  const cut = path.lastIndexOf('/')
  const parent = cut > 0 && cut < path.length - 1 ? byPath.get(path.slice(0, cut)) : undefined
  return parent?.below && { endpoint: parent, methods: parent.below }
}
