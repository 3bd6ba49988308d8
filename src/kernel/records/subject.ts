/** A pairwise subject that is stored rather than worked out (OIDC Core 8.1, `subjects.pairwise: persistent`). */
import { z } from 'zod'

export const subjectRecord = z.strictObject({
  id: z.string(),
  accountId: z.string(),
  /** Host of the sector identifier. */
  sector: z.string(),
  /** What the sector's clients know the account by; random. */
  subject: z.string(),
  /** Epoch ms. */
  createdAt: z.number(),
})
export type PairwiseSubject = z.output<typeof subjectRecord>
