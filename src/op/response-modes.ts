/**
 * How authorization responses reach the relying party: every one, success and error, passes its mode's handler, while
 * the engine's events know of successes only (ENGINE 1).
 */
import type Provider from 'oidc-provider'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Seams } from './seams.ts'

export type ResponseMode = Parameters<Provider['registerResponseMode']>[1]
type Payload = Parameters<ResponseMode>[2]

/** The members of a response that are there, as a form carries them. */
const present = (payload: Payload): Record<string, string> =>
  Object.fromEntries(
    Object.entries(payload)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, String(value)]),
  )

/** The page's own status, as the engine has it. */
const statusOf = (payload: Payload): number => ('error' in payload ? 400 : 200)

const signed = (engine: Provider, ctx: KoaContextWithOIDC, payload: Payload): Promise<string> => {
  const token = new engine.IdToken({}, { ctx })
  for (const [name, value] of Object.entries(payload)) token.set(name, value)
  return token.issue({ use: 'authorization' })
}

/** The engine's own forms are bare HTML with an inline script: our page takes their place. */
const forms: Readonly<Record<string, (seams: Seams, engine: Provider) => ResponseMode>> = {
  form_post: (seams) => (ctx, url, payload) => seams.formPost(ctx, url, present(payload), statusOf(payload)),
  // JARM 2.3.3: the same form with everything signed in one field.
  'form_post.jwt': (seams, engine) => async (ctx, url, payload) =>
    seams.formPost(ctx, url, { response: await signed(engine, ctx, payload) }, statusOf(payload)),
}

/**
 * What answers in a mode's place.
 * @param handler the engine's own
 * @param seamsOf asked with each response: the engine's constructor registers its modes before it has any
 */
export const responseMode =
  (engine: Provider, name: string, handler: ResponseMode, seamsOf: () => Seams): ResponseMode =>
  (ctx, redirectUri, payload) => {
    const seams = seamsOf()
    const answer = forms[name]?.(seams, engine) ?? handler
    return answer.call(engine, ctx, redirectUri, seams.respond(ctx, redirectUri, payload))
  }
