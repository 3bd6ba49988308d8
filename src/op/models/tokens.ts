/**
 * Codes and tokens: what they remember of the sign-in, what may be redeemed once more, and what enters without having
 * been issued. Access tokens are in access-tokens.ts.
 */
import type Provider from 'oidc-provider'
import { endLateReplay } from '../late-codes.ts'
import type { Seams, SessionExtras, TokenExtras } from '../seams.ts'
import { findBy, type Instance, type Original, running, withPayload } from './model.ts'

export const authorizationCodeClass = (
  Above: Original<'AuthorizationCode', TokenExtras>,
  engine: Provider,
  seams: Pick<Seams, 'hooks'>,
) =>
  class AuthorizationCode extends Above {
    constructor(...given: ConstructorParameters<Provider['AuthorizationCode']>) {
      super(...given)
      if (this.jti) return
      this.idp = (running()?.session as SessionExtras | undefined)?.upstream?.provider
      this.login = seams.hooks.login()
    }

    static override get IN_PAYLOAD() {
      return withPayload(Above, 'idp', 'login')
    }

    static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
      const code = await findBy<T>(Above, AuthorizationCode, ...given)
      await endLateReplay(engine, code as Instance<'AuthorizationCode'> | undefined)
      return code
    }
  }

export const refreshTokenClass = (Above: Original<'RefreshToken', TokenExtras>, seams: Pick<Seams, 'forgive'>) =>
  class RefreshToken extends Above {
    constructor(...given: ConstructorParameters<Provider['RefreshToken']>) {
      super(...given)
      const entities = running()?.entities
      const source = entities?.RotatedRefreshToken ?? entities?.AuthorizationCode
      if (!this.jti) this.idp = (source as TokenExtras | undefined)?.idp
    }

    static override get IN_PAYLOAD() {
      return withPayload(Above, 'idp')
    }

    static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
      const token = await findBy<T>(Above, RefreshToken, ...given)
      const { consumed, clientId, jkt } = (token ?? {}) as { consumed?: number; clientId?: string; jkt?: string }
      // A bound token was not proved yet at this point, so it is not forgiven.
      if (consumed && !jkt && running()?.route === 'token') await seams.forgive(given[0], clientId, consumed)
      return token
    }
  }

/** The original looks first and saves then: parallel uses of one assertion would all pass (HAZARDS 1). */
export const replayDetectionClass = (Above: Original<'ReplayDetection'>, seams: Pick<Seams, 'unique'>) =>
  class ReplayDetection extends Above {
    static override unique(issuer: string, jti: string, exp: number): Promise<boolean> {
      return seams.unique(issuer, jti, exp)
    }
  }

/** Policies see registrations only behind an initial access token (ENGINE 5): open registration has one of ours. */
export const initialAccessTokenClass = (
  Above: Original<'InitialAccessToken'>,
  seams: Pick<Seams, 'entersRegistration' | 'registrationPolicies'>,
) =>
  class InitialAccessToken extends Above {
    static override async find<T>(...given: [string, object?]): Promise<T | undefined> {
      if (await seams.entersRegistration(given[0]))
        return new InitialAccessToken({ policies: [...seams.registrationPolicies] }) as T
      return findBy<T>(Above, InitialAccessToken, ...given)
    }
  }
