/** A row's tags as one value: for each its length in one byte, then the tag. */

export const packTags = (tags: readonly Uint8Array[] | undefined): Uint8Array | undefined => {
  if (!tags?.length) return undefined
  const packed = new Uint8Array(tags.reduce((sum, tag) => sum + 1 + tag.length, 0))
  let at = 0
  for (const tag of tags) {
    if (tag.length > 255) throw new RangeError('a tag has at most 255 bytes')
    packed[at] = tag.length
    packed.set(tag, at + 1)
    at += 1 + tag.length
  }
  return packed
}

export const unpackTags = (packed: Uint8Array): Uint8Array[] => {
  const tags: Uint8Array[] = []
  for (let at = 0; at < packed.length; ) {
    const length = packed[at] ?? 0
    tags.push(packed.subarray(at + 1, at + 1 + length))
    at += 1 + length
  }
  return tags
}

export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
