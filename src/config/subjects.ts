/** What relying parties see as `sub`. */
import { z } from 'zod'
import { secret } from '#kernel/kinds.ts'

export const subjects = z
  .strictObject({
    default: z.enum(['public', 'pairwise']).default('public').meta({ help: 'For clients that name no subject_type.' }),
    publicAttribute: z.string().min(1).max(255).default('id').meta({
      help: 'The attribute of the account that is the public `sub`: id, username, email (verified, and of one account only) or a claim. It must be unique and must never change.',
    }),
    pairwise: z.enum(['algorithmic', 'persistent']).default('algorithmic').meta({
      help: 'How pairwise `sub` values are made: worked out from key and salt, or random and stored.',
    }),
    pairwiseKey: secret.min(32).optional().meta({
      secret: true,
      allowed: 'text of at least 32 characters',
      help: 'Generated once when absent; never change it.',
    }),
    pairwiseSalt: secret.optional().meta({ secret: true, help: 'Generated once when absent; never change it.' }),
  })
  .prefault({})
