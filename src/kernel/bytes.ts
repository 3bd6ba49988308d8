/** Bytes and their texts. */

/** The same memory as a Buffer; itself where it is one, since each view costs as much as what is done with it. */
export const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/**
 * One character a byte: to be kept and compared. A small Buffer that is kept keeps with it the 8 KiB that it was cut
 * from.
 */
export const latin1Of = (bytes: Uint8Array): string => bufferOf(bytes).toString('latin1')

/** As ids and keys are written down (RFC 4648 5). */
export const base64urlOf = (bytes: Uint8Array): string => bufferOf(bytes).toString('base64url')
