/** What relying parties are told of a person: everybody the department, nobody a telephone number outside of ID tokens. */
import type { Hooks } from 'gatehouse/hooks'

export default {
  claims(claims, { use, account }) {
    const { phone_number, phone_number_verified, ...others } = claims
    const department = account.claims.department ?? 'none'
    return use === 'id_token' ? { ...claims, department } : { ...others, department }
  },
} satisfies Hooks
