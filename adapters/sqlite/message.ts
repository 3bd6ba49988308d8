/**
 * How the main thread hands operations to the writer's thread: packed into shared memory, so that a batch costs one
 * copy of its bytes and no message. Only this file knows the layout:
 * head = now (f64) | patience (f64), then for each operation: code (f64) | length of its fields (f64) | fields.
 * A field is a number (f64), or bytes or text with their length (f64, -1 for absent) before them.
 */

const HEAD = 16
const FRAME = 16
const SMALL = 64 * 1024
const LARGE = 1024 * 1024

/** Where the main thread packs a batch. Reused: the batch before must be answered first. */
export class Outbox {
  #memory = new SharedArrayBuffer(SMALL)
  #bytes = Buffer.from(this.#memory)
  #view = new DataView(this.#memory)
  #at = HEAD
  #frame = HEAD
  /** The writer has not seen this memory yet. */
  #fresh = true

  /** Begins an operation; one that was begun and not ended is forgotten. */
  begin(code: number): void {
    this.#frame = this.#at
    this.#room(FRAME)
    this.#view.setFloat64(this.#at, code)
    this.#at += FRAME
  }

  number(value: number | undefined): void {
    this.#room(8)
    this.#view.setFloat64(this.#at, value === undefined ? Number.NaN : value)
    this.#at += 8
  }

  bytes(value: Uint8Array | undefined): void {
    const length = value?.length ?? -1
    this.#room(8 + Math.max(length, 0))
    this.#view.setFloat64(this.#at, length)
    this.#at += 8
    if (value === undefined) return
    this.#bytes.set(value, this.#at)
    this.#at += length
  }

  text(value: string): void {
    this.#room(8 + value.length * 3)
    const length = this.#bytes.write(value, this.#at + 8)
    this.#view.setFloat64(this.#at, length)
    this.#at += 8 + length
  }

  end(): void {
    this.#view.setFloat64(this.#frame + 8, this.#at - this.#frame - FRAME)
    this.#frame = this.#at
  }

  /** Forgets an operation that could not be packed. */
  undo(): void {
    this.#at = this.#frame
  }

  /** Closes the batch. Answers what to send: the used length, and the memory itself when the writer does not know it. */
  seal(now: number, patience: number): { used: number; memory: SharedArrayBuffer | undefined } {
    this.#view.setFloat64(0, now)
    this.#view.setFloat64(8, patience)
    const memory = this.#fresh ? this.#memory : undefined
    this.#fresh = false
    return { used: this.#at, memory }
  }

  /** Ready for the next batch; memory that one large batch needed is given back. */
  reset(): void {
    if (this.#memory.byteLength > LARGE) this.#replace(SMALL, 0)
    this.#at = HEAD
    this.#frame = HEAD
  }

  #room(more: number): void {
    const needed = this.#at + more
    if (needed > this.#memory.byteLength) this.#replace(2 ** Math.ceil(Math.log2(needed)), this.#at)
  }

  #replace(size: number, keep: number): void {
    const before = this.#bytes
    this.#memory = new SharedArrayBuffer(size)
    this.#bytes = Buffer.from(this.#memory)
    this.#view = new DataView(this.#memory)
    this.#bytes.set(before.subarray(0, keep))
    this.#fresh = true
  }
}

/** Where the writer's thread reads a batch. Bytes that it hands out are views: they hold until the batch is answered. */
export class Inbox {
  readonly #memory: SharedArrayBuffer
  readonly #bytes: Buffer
  readonly #view: DataView
  #at = HEAD
  #used = HEAD

  constructor(memory: SharedArrayBuffer) {
    this.#memory = memory
    this.#bytes = Buffer.from(memory)
    this.#view = new DataView(memory)
  }

  get now(): number {
    return this.#view.getFloat64(0)
  }

  /** How long its callers will go on waiting, ms from the order on: threads have no common steady clock. */
  get patience(): number {
    return this.#view.getFloat64(8)
  }

  /** To the first operation of a batch of this length. */
  rewind(used: number): void {
    this.#at = HEAD
    this.#used = used
  }

  get done(): boolean {
    return this.#at >= this.#used
  }

  /** Where the next operation begins; `seek` goes back there. */
  get position(): number {
    return this.#at
  }

  seek(position: number): void {
    this.#at = position
  }

  /** To the operation after the one at this position. */
  skip(position: number): void {
    this.#at = position + FRAME + this.#view.getFloat64(position + 8)
  }

  code(): number {
    const code = this.#view.getFloat64(this.#at)
    this.#at += FRAME
    return code
  }

  number(): number {
    const value = this.#view.getFloat64(this.#at)
    this.#at += 8
    return value
  }

  /** A number that may be absent: null, as a statement wants it. */
  numberOrNull(): number | null {
    const value = this.number()
    return Number.isNaN(value) ? null : value
  }

  bytes(): Uint8Array {
    return this.bytesOrNull() ?? new Uint8Array(0)
  }

  bytesOrNull(): Uint8Array | null {
    const length = this.number()
    if (length < 0) return null
    const value = new Uint8Array(this.#memory, this.#at, length)
    this.#at += length
    return value
  }

  text(): string {
    const length = this.number()
    const value = this.#bytes.toString('utf8', this.#at, this.#at + length)
    this.#at += length
    return value
  }
}
