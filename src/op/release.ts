/**
 * Lets go of what a request held as soon as its answer is out. The engine gives the context of each request a getter of
 * its own (`ctx.oidc`), and V8 keeps getters among the old objects from the start: what one leads to, which is the whole
 * request, counts as in use when young objects are collected, is copied twice and waits for the next major collection.
 * What that costs: docs/performance.md. A request that was given up before its answer is left to that collection.
 */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Ctx } from '#http/context.ts'
import type { Blank, Releasing } from './models/context.ts'

/** A request that never was and has been answered, for whoever still reads or writes. */
const createBlank = ({ app }: Ctx): Blank => {
  const req = Object.assign(new IncomingMessage(new Socket()), { method: 'GET', url: '/' })
  const { res, request, response, cookies } = app.createContext(req, new ServerResponse(req))
  res.end()
  return { req, res, request, response, cookies }
}

/** @returns to be called when the engine has done its part; takes effect when the answer has been handed to the system */
export const createRelease = (): ((ctx: Ctx) => void) => {
  let blank: Blank | undefined
  return (ctx) => {
    const { oidc } = ctx as Ctx & { readonly oidc?: Releasing }
    if (!oidc) return
    ctx.res.once('finish', () => {
      blank ??= createBlank(ctx)
      oidc.release(blank)
      // The request's name stays, for what is logged later.
      Object.assign(ctx, blank, { state: { rid: ctx.state.rid } })
    })
  }
}
