/**
 * A circuit breaker per host: a service that does not answer is not asked again for a while, so that people see a clear
 * page at once instead of waiting out a time limit each. One probe at a time finds out whether it is back.
 */
import type { Clock } from '../clock.ts'

interface Circuit {
  failures: number
  /** Epoch ms; set while open. */
  openUntil?: number
  probing: boolean
}

export interface Breaker {
  /** Whether a call may go out now; undefined: yes, else milliseconds until it makes sense to ask again. */
  wait(host: string): number | undefined
  succeeded(host: string): void
  failed(host: string): void
  /** The call ended without saying anything of the host (refused here, cancelled by the caller). */
  abandoned(host: string): void
}

/** Hosts that failed and are remembered; bounds what a stream of made-up names can occupy. */
const MOST_HOSTS = 1000

/** @param failures consecutive ones that open the circuit; @param openMs how long it stays open before a probe */
export const createBreaker = (clock: Clock, failures: number, openMs: number): Breaker => {
  const circuits = new Map<string, Circuit>()
  return {
    wait(host) {
      const circuit = circuits.get(host)
      if (circuit?.openUntil === undefined) return undefined
      const left = circuit.openUntil - clock.now()
      if (left > 0) return left
      if (circuit.probing) return openMs
      circuit.probing = true
      return undefined
    },
    succeeded: (host) => void circuits.delete(host),
    failed(host) {
      const circuit = circuits.get(host) ?? { failures: 0, probing: false }
      circuit.failures += 1
      circuit.probing = false
      if (circuit.failures >= failures) circuit.openUntil = clock.now() + openMs
      circuits.delete(host)
      circuits.set(host, circuit)
      const oldest = circuits.size > MOST_HOSTS ? circuits.keys().next().value : undefined
      if (oldest !== undefined) circuits.delete(oldest)
    },
    abandoned(host) {
      const circuit = circuits.get(host)
      if (circuit) circuit.probing = false
    },
  }
}
