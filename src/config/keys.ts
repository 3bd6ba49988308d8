/** The keys that sign and decrypt: which there are, and how long each lives. */
import { z } from 'zod'
import type { Settings } from './settings.ts'
import { distinct, seconds } from './words.ts'

export const signingAlgorithms = ['RS256', 'PS256', 'ES256', 'EdDSA'] as const

export const keys = z
  .strictObject({
    algorithms: distinct(z.enum(signingAlgorithms))
      .min(1)
      .default([...signingAlgorithms])
      .meta({ help: 'There is a key of each.' }),
    encryption: distinct(z.enum(['RSA-OAEP-256', 'ECDH-ES']))
      .default(['RSA-OAEP-256', 'ECDH-ES'])
      .meta({ help: 'There is a key of each that clients may encrypt request objects with.' }),
    default: z.enum(signingAlgorithms).default('RS256').meta({ help: 'For clients that name no algorithm.' }),
    rotateEvery: seconds('P90D', 'A key signs for so long.'),
    publishBefore: seconds('P2D', 'A key is published so long before it signs.'),
    keepAfter: seconds('P7D', 'A key verifies for so long after it last signed.'),
  })
  .prefault({})

/** What the keyring keeps: keys that sign, and those that are encrypted to. */
export const keyringOf = ({ keys, features }: Pick<Settings, 'keys' | 'features'>) => ({
  ...keys,
  algorithms: [...keys.algorithms, ...(features.encryption ? keys.encryption : [])],
})
