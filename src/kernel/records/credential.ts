/** What a person set up beside the password to sign in with. One record an account and method. */
import { z } from 'zod'

/** RFC 6238, and codes to fall back on. */
export const otpCredential = z.strictObject({
  /** accountId|method */
  id: z.string(),
  accountId: z.string(),
  method: z.literal('otp'),
  /** Base 32, 160 bits. */
  secret: z.string().meta({ secret: true }),
  /** The last time step that was spent: only later ones count (RFC 6238 5.2). */
  step: z.number().int(),
  /** HMACs of the recovery codes that are left, base64url. */
  recoveryCodes: z.array(z.string()).meta({ secret: true }),
  /** Epoch ms. */
  createdAt: z.number(),
  usedAt: z.number().optional(),
})
export type OtpCredential = z.output<typeof otpCredential>

export const credentialRecord = z.discriminatedUnion('method', [otpCredential])
export type Credential = z.output<typeof credentialRecord>
