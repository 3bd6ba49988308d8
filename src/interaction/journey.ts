/**
 * Where one sign-in stands and what comes next. The only place that decides; pure, so that its test is a table.
 * Pages and connectors never know the next step: each returns here (DESIGN 2).
 */
import type { Choice } from '#federation/discovery.ts'
import type { FaultCode } from '#kernel/faults.ts'
import type { WayTaken } from '#kernel/ports.ts'

/** One way in that was completed. */
export interface Passed extends WayTaken {
  /** What the provider said of its own authentication. */
  readonly acr?: string
  /** Not in this sign-in: the browser's session had it. */
  readonly before?: true
}

/** Kept beside the interaction under its uid, and only once there is something to remember; the browser holds the uid alone. */
export interface Journey {
  readonly passed: readonly Passed[]
  readonly accountId?: string
  /** What the person picked on the choice page; also a choice typed as an e-mail address. */
  readonly picked?: string
  /** Left for this provider and not back yet. */
  readonly departed?: string
  /** The upstream session that the login ends with. */
  readonly upstream?: { readonly provider: string; readonly id: string }
  /** A newcomer whose address is missing: the sealed arrival waits under this handle. */
  readonly newcomer?: { readonly provider: string; readonly pending: string }
  /** Recovery codes wait under this handle to be shown and written down. */
  readonly codes?: string
  /** A method that the person may set up anew, because a recovery code was used. */
  readonly renew?: string
  /** What the next page has to say. */
  readonly fault?: FaultCode
}

export const beginning: Journey = { passed: [] }

/** What the request asks for, resolved at every look by src/federation/discovery.ts. */
export type Plan = Pick<Choice, 'steps' | 'acr' | 'amr' | 'providers'>

export type Next =
  | { readonly go: 'choose'; readonly options: readonly string[]; readonly waiting?: string }
  | { readonly go: 'method'; readonly id: string; readonly others: boolean }
  | { readonly go: 'leave'; readonly provider: string }
  | { readonly go: 'email' }
  | { readonly go: 'codes' }
  | { readonly go: 'renew'; readonly id: string }
  | {
      readonly go: 'finish'
      readonly accountId: string
      readonly acr: string
      readonly amr: readonly string[]
      readonly authTime: number
    }
  | { readonly go: 'unreachable' }

/** @returns what to show or do now; the same for the same input, however often it is asked */
export const next = (journey: Journey, plan: Plan): Next => {
  if (journey.newcomer) return { go: 'email' }
  if (journey.codes !== undefined) return { go: 'codes' }
  if (journey.renew !== undefined) return { go: 'renew', id: journey.renew }
  const open = plan.steps.find((options) => !journey.passed.some(({ by }) => options.includes(by)))
  if (!open) return finish(journey, plan)
  if (open.length === 0) return { go: 'unreachable' }
  const only = open.length === 1 ? open[0] : undefined
  const way = only ?? (journey.picked !== undefined && open.includes(journey.picked) ? journey.picked : undefined)
  if (way === undefined) return { go: 'choose', options: open }
  if (!plan.providers.has(way)) return { go: 'method', id: way, others: only === undefined }
  // Whoever comes back by the back button, or failed there, decides anew instead of being sent away at once.
  if (journey.departed === way || journey.fault)
    return { go: 'choose', options: open, ...(journey.departed === way && { waiting: way }) }
  return { go: 'leave', provider: way }
}

const finish = (journey: Journey, plan: Plan): Next => {
  const last = journey.passed.at(-1)
  if (!last || journey.accountId === undefined) return { go: 'unreachable' }
  const amr = new Set(journey.passed.flatMap((passed) => passed.amr))
  for (const value of plan.amr) amr.add(value)
  return {
    go: 'finish',
    accountId: journey.accountId,
    acr: plan.acr ?? last.by,
    amr: [...amr],
    // OIDC Core 2: when the end-user authentication occurred; with several steps the earliest is the honest one.
    authTime: Math.min(...journey.passed.map((passed) => passed.authTime)),
  }
}

/** After a way in was completed. A second step must be the same person. */
export const pass = (journey: Journey, accountId: string, passed: Passed): Journey => ({
  passed: [...journey.passed.filter(({ by }) => by !== passed.by), passed],
  accountId,
  ...(journey.upstream && { upstream: journey.upstream }),
})
