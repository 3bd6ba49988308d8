/**
 * The files of public/, read once at start and served from memory: by a name that carries their hash they may be kept
 * for ever, by their plain name they are asked for again (ETag). Nothing of a request ever becomes a file path.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { promisify } from 'node:util'
import { brotliCompress, constants } from 'node:zlib'
import { Fault } from '#kernel/faults.ts'
import type { Ctx } from './context.ts'

/** Where assets live below the issuer. */
const ASSETS = '/assets/'
/** Asked for by browsers that show a page which names no icon, such as the engine's own. */
const FAVICON = '/favicon.ico'

export const isAsset = (path: string): boolean => path.startsWith(ASSETS) || path === FAVICON

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
}

interface Asset {
  readonly body: Buffer
  readonly type: string
  readonly etag: string
  readonly hashed: string
  /** Made when first asked for. */
  brotli?: Promise<Buffer> | undefined
}

export interface Assets {
  /** The path of a file, below the base, that may be cached for ever. Throws TypeError for a file that does not exist. */
  path(name: string): string
  /** Answers a request that `isAsset`. Throws Fault `request.not-found`, `request.method`. */
  serve(ctx: Ctx): Promise<void>
}

const load = (directory: string, name: string): Asset => {
  const body = readFileSync(join(directory, name))
  const hash = createHash('sha256').update(body).digest('base64url').slice(0, 10)
  const extension = extname(name)
  return {
    body,
    type: TYPES[extension] ?? 'application/octet-stream',
    etag: `"${hash}"`,
    hashed: `${basename(name, extension)}.${hash}${extension}`,
  }
}

const compress = promisify(brotliCompress)
const brotli = (asset: Asset): Promise<Buffer> => {
  asset.brotli ??= compress(asset.body, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } })
  return asset.brotli
}

/** @param directory `public/`, flat */
export const createAssets = (directory: string): Assets => {
  const byName = new Map(
    readdirSync(directory)
      .filter((name) => extname(name) in TYPES)
      .map((name) => [name, load(directory, name)] as const),
  )
  const byHashed = new Map([...byName.values()].map((asset) => [asset.hashed, asset]))

  return {
    path(name) {
      const asset = byName.get(name)
      if (!asset) throw new TypeError(`public/${name} does not exist`)
      return `${ASSETS}${asset.hashed}`
    },
    async serve(ctx) {
      const name = ctx.path === FAVICON ? 'gatehouse.svg' : ctx.path.slice(ASSETS.length)
      const lasting = byHashed.get(name)
      const asset = lasting ?? byName.get(name)
      if (!asset) throw new Fault('request.not-found')
      if (ctx.method !== 'GET' && ctx.method !== 'HEAD') throw new Fault('request.method', { allow: 'GET, HEAD' })
      ctx.set('cache-control', lasting ? 'public, max-age=31536000, immutable' : 'public, no-cache')
      ctx.set('etag', asset.etag)
      ctx.vary('accept-encoding')
      ctx.type = asset.type
      ctx.status = 200
      if (ctx.fresh) {
        ctx.status = 304
        return
      }
      const small = asset.type.startsWith('image/png') || !ctx.acceptsEncodings('br')
      if (!small) ctx.set('content-encoding', 'br')
      ctx.body = small ? asset.body : await brotli(asset)
    },
  }
}
