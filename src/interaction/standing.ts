/**
 * What of the browser's session already counts for a request that wants more of it (DESIGN 3.10): a step that was done is
 * not asked again, unless the relying party wants the person anew (prompt=login, max_age). Pure.
 */
import type { Interaction, WayTaken } from '#kernel/ports.ts'
import { beginning, type Journey, type Plan } from './journey.ts'

/** The only reasons for which something may be left standing; every other one asks for the person from the start. */
const MORE = new Set(['acr', 'max_age'])

const freshWays = ({ session, params }: Interaction, now: number): readonly WayTaken[] => {
  const maxAge = params.max_age === undefined ? Number.NaN : Number(params.max_age)
  return (session?.ways ?? []).filter(({ authTime }) => Number.isNaN(maxAge) || authTime >= now - maxAge)
}

/**
 * Where a sign-in begins.
 * @param given `secondary`: methods that answer for somebody who is known; `now`: epoch seconds
 */
export const standing = (
  interaction: Interaction,
  plan: Plan,
  { secondary, now }: { secondary: ReadonlySet<string>; now: number },
): Journey => {
  const { session, prompt } = interaction
  if (!session || prompt.name !== 'login' || !prompt.reasons.every((reason) => MORE.has(reason))) return beginning
  const fresh = freshWays(interaction, now)
  const has = (options: readonly string[]) => fresh.some(({ by }) => options.includes(by))
  const open = plan.steps.find((options) => !has(options))
  // A single step that the session does not have is another sign-in, perhaps as somebody else.
  const continues = plan.steps.some(has) || open?.every((id) => secondary.has(id))
  if (!continues || open?.length === 0) return beginning
  const { upstream } = session
  return {
    passed: fresh.map((way) => ({ ...way, before: true })),
    accountId: session.accountId,
    ...(upstream && fresh.some(({ by }) => by === upstream.provider) && { upstream }),
  }
}
