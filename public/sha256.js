/**
 * SHA-256 (FIPS 180-4) for the check-session page: a classic script, because browsers give WebCrypto to secure contexts
 * only, and a page over http inside of another is none. Tested against the published vectors.
 */
// biome-ignore lint/correctness/noUnusedVariables: the next script of the page uses it
const sha256 = (() => {
  const primes = []
  for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  /** The first 32 bits of the fractional part. */
  const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0
  const constants = primes.map((prime) => fraction(Math.cbrt(prime)))
  const beginning = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)))
  const turn = (word, by) => (word >>> by) | (word << (32 - by))

  /** 6.2.2: one block of sixteen words into the state. */
  const compress = (state, words) => {
    for (let i = 16; i < 64; i++) {
      const [x, y] = [words[i - 15], words[i - 2]]
      const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)
      const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10)
      words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0
    }
    let [a, b, c, d, e, f, g, h] = state
    for (let i = 0; i < 64; i++) {
      const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + constants[i] + words[i]) | 0
      const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    return [a, b, c, d, e, f, g, h].map((word, i) => (word + state[i]) | 0)
  }

  /** @param {Uint8Array} bytes @returns {Uint8Array} 32 bytes */
  return (bytes) => {
    const blocks = Math.ceil((bytes.length + 9) / 64)
    const padded = new DataView(new ArrayBuffer(blocks * 64))
    for (let i = 0; i < bytes.length; i++) padded.setUint8(i, bytes[i])
    padded.setUint8(bytes.length, 0x80)
    padded.setUint32(blocks * 64 - 8, Math.floor(bytes.length / 2 ** 29))
    padded.setUint32(blocks * 64 - 4, bytes.length * 8)
    let state = beginning
    for (let block = 0; block < blocks; block++) {
      const words = new Int32Array(64)
      for (let i = 0; i < 16; i++) words[i] = padded.getInt32(block * 64 + i * 4)
      state = compress(state, words)
    }
    const digest = new DataView(new ArrayBuffer(32))
    state.forEach((word, i) => {
      digest.setInt32(i * 4, word)
    })
    return new Uint8Array(digest.buffer)
  }
})()
