/**
 * Makes screenshots small: rewrites a PNG of true colours as one with a palette (PNG specification, third edition, 9.2
 * and 11.2.2). For pictures of flat colour, where a handful of shades is all that anybody sees.
 */
import { crc32, deflateSync, inflateSync } from 'node:zlib'

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')
const MOST_COLOURS = 64

interface Picture {
  readonly width: number
  readonly height: number
  /** Bytes of a pixel: 3, or 4 with an alpha channel, which is ignored. */
  readonly depth: number
  readonly bytes: Uint8Array
}

const chunksOf = (png: Buffer): { type: string; data: Buffer }[] => {
  const chunks = []
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at)
    chunks.push({ type: png.toString('latin1', at + 4, at + 8), data: png.subarray(at + 8, at + 8 + length) })
    at += 12 + length
  }
  return chunks
}

const paeth = (a: number, b: number, c: number): number => {
  const [left, up, corner] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - c - c)]
  return left <= up && left <= corner ? a : up <= corner ? b : c
}

/** Takes the filters off (section 9.2): each line says how it was predicted from its neighbours. */
const unfilter = (raw: Uint8Array, width: number, height: number, depth: number): Uint8Array => {
  const line = width * depth
  const out = new Uint8Array(line * height)
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (line + 1)]
    for (let x = 0; x < line; x++) {
      const to = y * line + x
      const a = x >= depth ? (out[to - depth] ?? 0) : 0
      const b = y > 0 ? (out[to - line] ?? 0) : 0
      const c = x >= depth && y > 0 ? (out[to - line - depth] ?? 0) : 0
      const guess = [0, a, b, (a + b) >> 1, paeth(a, b, c)][filter ?? 0] ?? 0
      out[to] = (raw[y * (line + 1) + 1 + x] ?? 0) + guess
    }
  }
  return out
}

const decode = (png: Buffer): Picture => {
  const chunks = chunksOf(png)
  const header = chunks[0]?.data
  if (header?.[8] !== 8 || (header[9] !== 2 && header[9] !== 6) || header[12] !== 0)
    throw new TypeError('not an 8 bit true colour PNG')
  const [width, height, depth] = [header.readUInt32BE(0), header.readUInt32BE(4), header[9] === 2 ? 3 : 4]
  const packed = chunks.filter(({ type }) => type === 'IDAT').map(({ data }) => data)
  return { width, height, depth, bytes: unfilter(inflateSync(Buffer.concat(packed)), width, height, depth) }
}

/** How far two colours, 0xRRGGBB, are apart. */
const distance = (one: number, other: number): number =>
  Math.abs((one >> 16) - (other >> 16)) +
  Math.abs(((one >> 8) & 255) - ((other >> 8) & 255)) +
  Math.abs((one & 255) - (other & 255))

/** One by one the colour whose absence would be seen most: by how many pixels have it and how far the chosen ones are. */
const paletteOf = (pixels: Uint32Array): number[] => {
  const counts = new Map<number, number>()
  for (const colour of pixels) counts.set(colour, (counts.get(colour) ?? 0) + 1)
  const colours = [...counts.keys()]
  const missed = Float64Array.from(colours, () => 4 * 255)
  const palette: number[] = []
  while (palette.length < Math.min(MOST_COLOURS, colours.length)) {
    let worst = 0
    let most = -1
    for (const [i, colour] of colours.entries()) {
      const seen = (counts.get(colour) ?? 0) * (missed[i] ?? 0) ** 2
      if (seen > most) [worst, most] = [i, seen]
    }
    const chosen = colours[worst] ?? 0
    palette.push(chosen)
    for (const [i, colour] of colours.entries()) missed[i] = Math.min(missed[i] ?? 0, distance(chosen, colour))
  }
  return palette
}

const chunk = (type: string, data: Uint8Array): Buffer => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  sum.writeUInt32BE(crc32(body))
  return Buffer.concat([length, body, sum])
}

/** @param png 8 bits a channel, not interlaced, as browsers write it; throws TypeError for others */
export const withPalette = (png: Buffer): Buffer => {
  const { width, height, depth, bytes } = decode(png)
  const pixels = Uint32Array.from(
    { length: width * height },
    (_, i) => ((bytes[i * depth] ?? 0) << 16) | ((bytes[i * depth + 1] ?? 0) << 8) | (bytes[i * depth + 2] ?? 0),
  )
  const palette = paletteOf(pixels)
  const nearest = new Map<number, number>()
  const indexOf = (colour: number): number => {
    let index = nearest.get(colour)
    if (index === undefined) {
      const distances = palette.map((chosen) => distance(chosen, colour))
      index = distances.indexOf(Math.min(...distances))
      nearest.set(colour, index)
    }
    return index
  }
  const lines = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) lines[y * (width + 1) + 1 + x] = indexOf(pixels[y * width + x] ?? 0)
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 3, 0, 0, 0], 8)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('PLTE', Uint8Array.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]))),
    chunk('IDAT', deflateSync(lines, { level: 9, memLevel: 9 })),
    chunk('IEND', new Uint8Array()),
  ])
}
