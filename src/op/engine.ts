/**
 * oidc-provider with our seams, all on its public surface: response modes are wrapped, models and contexts replaced by
 * the subclasses in models/. ENGINE.md 0 and 14 say why each is as it is; the contract tests in test/engine guard them
 * on every upgrade.
 */
import Provider, { type Configuration } from 'oidc-provider'
import { wrapping } from './access-tokens.ts'
import { claimsClass } from './models/claims.ts'
import { contextClass } from './models/context.ts'
import { type Opened, replacing } from './models/model.ts'
import { sessionClass } from './models/session.ts'
import {
  authorizationCodeClass,
  initialAccessTokenClass,
  refreshTokenClass,
  replayDetectionClass,
} from './models/tokens.ts'
import { type ResponseMode, responseMode } from './response-modes.ts'
import type { Seams } from './seams.ts'

interface Overridden {
  registerResponseMode(name: string, handler: ResponseMode): void
}
const Base = Provider as unknown as Opened<typeof Provider, Overridden>

export class Engine extends Base {
  readonly #seams: Seams

  constructor(issuer: string, configuration: Configuration, seams: Seams) {
    super(issuer, configuration)
    this.#seams = seams
  }

  /** The constructor above calls this before our own fields exist. */
  override registerResponseMode(name: string, handler: ResponseMode): void {
    super.registerResponseMode(
      name,
      responseMode(this, name, handler, () => this.#seams),
    )
  }

  override get OIDCContext(): Provider['OIDCContext'] {
    return replacing(this, 'OIDCContext', contextClass, this, this.#seams)
  }

  override get Session(): Provider['Session'] {
    return replacing(this, 'Session', sessionClass, this.#seams)
  }

  override get Claims(): Provider['Claims'] {
    return replacing(this, 'Claims', claimsClass, this.#seams)
  }

  override get AuthorizationCode(): Provider['AuthorizationCode'] {
    return replacing(this, 'AuthorizationCode', authorizationCodeClass, this, this.#seams)
  }

  override get AccessToken(): Provider['AccessToken'] {
    return replacing(this, 'AccessToken', wrapping, this.#seams.jwts, this.#seams.spontaneous.limit)
  }

  override get ClientCredentials(): Provider['ClientCredentials'] {
    return replacing(this, 'ClientCredentials', wrapping, this.#seams.jwts, this.#seams.spontaneous.limit)
  }

  override get RefreshToken(): Provider['RefreshToken'] {
    return replacing(this, 'RefreshToken', refreshTokenClass, this.#seams)
  }

  override get ReplayDetection(): Provider['ReplayDetection'] {
    return replacing(this, 'ReplayDetection', replayDetectionClass, this.#seams)
  }

  override get InitialAccessToken(): Provider['InitialAccessToken'] {
    return replacing(this, 'InitialAccessToken', initialAccessTokenClass, this.#seams)
  }
}
