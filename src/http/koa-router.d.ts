/** The few types of koa-router 14 that this room uses; the package ships none. */
declare module 'koa-router' {
  interface Layer {
    readonly path: string
    readonly methods: readonly string[]
  }
  interface Match {
    /** Layers whose path matches, whatever their method. */
    readonly path: readonly Layer[]
    /** Whether one of them takes the method too. */
    readonly route: boolean
  }
  type Handler = (ctx: import('./context.ts').Ctx, next: () => Promise<unknown>) => unknown
  export default class Router {
    constructor(options?: { strict?: boolean; sensitive?: boolean; exclusive?: boolean })
    register(path: string, methods: readonly string[], handler: Handler): Layer
    match(path: string, method: string): Match
    routes(): Handler
  }
}
