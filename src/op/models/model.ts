/**
 * How a model of oidc-provider is replaced by a subclass: what each file of this folder builds on. A class keeps its
 * model's name, which is the adapter's model and the payload's kind.
 */
import Provider from 'oidc-provider'

export type Model =
  | 'OIDCContext'
  | 'Session'
  | 'AuthorizationCode'
  | 'AccessToken'
  | 'ClientCredentials'
  | 'Claims'
  | 'RefreshToken'
  | 'ReplayDetection'
  | 'InitialAccessToken'
export type Instance<K extends Model | 'Client'> = InstanceType<Provider[K]>

type Class = abstract new (...given: never[]) => object
/**
 * A class whose members may be overridden by accessors: a mapped type has plain properties where the class declares them
 * (TS2611). `Own` declares again what is overridden by methods (TS2425), and what the published types leave out.
 */
export type Opened<C extends Class, Own = object> = (new (
  ...given: ConstructorParameters<C>
) => { [K in Exclude<keyof InstanceType<C>, keyof Own>]: InstanceType<C>[K] } & Own) & {
  [K in Exclude<keyof C, 'prototype'>]: C[K]
}

/** The engine's own class of a model, open to overriding. */
export type Original<K extends Model, Own = object> = Opened<Provider[K], Own>

const replaced = new WeakMap<object, Map<Model, unknown>>()

/**
 * The class that takes the place of the engine's own, one per engine and model: the adapter of a model is found by its
 * class.
 * @param make called with the engine's own, and what else is given
 */
export const replacing = <K extends Model, Own, Given extends readonly unknown[]>(
  engine: object,
  name: K,
  make: (Above: Original<K, Own>, ...given: Given) => unknown,
  ...given: Given
): Provider[K] => {
  const classes = replaced.get(engine) ?? new Map<Model, unknown>()
  replaced.set(engine, classes)
  if (!classes.has(name)) {
    const Above = Reflect.get(Provider.prototype, name, engine) as unknown as Original<K, Own>
    classes.set(name, make(Above, ...given))
  }
  return classes.get(name) as Provider[K]
}

/** What the class above answers for a member that was overridden. */
export const inherited = (Above: object, name: string, self: object): unknown =>
  Reflect.get(Reflect.get(Above, 'prototype') as object, name, self)

/** The members of a model that are stored, with ours. */
export const withPayload = (Above: object, ...names: readonly string[]): string[] => [
  ...(Reflect.get(Above, 'IN_PAYLOAD') as string[]),
  ...names,
]

/** The model's own look-up, for a class above that is called by its subclass. */
export const findBy = <T>(Above: object, self: object, ...given: unknown[]): Promise<T | undefined> =>
  (Reflect.get(Above, 'find') as (...given: unknown[]) => Promise<T | undefined>).apply(self, given)

/** The request that is being answered, wherever a model is made. */
export const running = () => Provider.ctx?.oidc
