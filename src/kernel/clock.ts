/** The only source of time, so that tests can move it. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }

/** Epoch seconds, the unit of JWT and OAuth times (RFC 7519 2, NumericDate). */
export const epochSeconds = (clock: Clock): number => Math.floor(clock.now() / 1000)
