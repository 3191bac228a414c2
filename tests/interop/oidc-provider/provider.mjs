// One oidc-provider, configured to the surface of Logto. Works on version 9 and version 8, which differ where Logto's
// releases do: ID tokens of version 8 carry `typ` and `at_hash`, those of version 9 neither.

import { randomBytes } from 'node:crypto';

import { endSession } from './pages.mjs';
import { account, CLAIMS_BY_SCOPE, ORGANIZATION_PERMISSIONS, permissionsIn } from './personas.mjs';

const DAY = 24 * 60 * 60;
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const EXCHANGE_PARAMETERS = new Set(['scope', 'subject_token', 'subject_token_type']);
/** What permissions in organizations are asked for under. */
export const ORGANIZATIONS = 'urn:logto:resource:organizations';
const ASYMMETRIC = ['ES256', 'ES384', 'ES512', 'PS256', 'RS256'];
const cookieKey = randomBytes(32).toString('base64url');

/** Parameters that Logto takes at /auth beyond the standard ones. */
const EXTRA_PARAMETERS = [
  'direct_sign_in', 'first_screen', 'interaction_mode', 'identifier', 'one_time_token', 'organization_id',
];
const FIRST_SCREENS = new Set([
  'sign_in', 'register', 'reset_password', 'identifier:sign_in', 'identifier:register', 'single_sign_on',
]);

export async function loadVersion(version) {
  if (version === 9) return (await import('oidc-provider-9')).Provider;
  if (version === 8) return (await import('oidc-provider-8')).default;
  throw new RangeError(`unknown version: ${version}`);
}

/** Logto drops all extra parameters, silently, when one of them is not valid. */
export function wantsHuggingFace(params) {
  if (params.first_screen !== undefined && !FIRST_SCREENS.has(params.first_screen)) return false;
  return params.direct_sign_in === 'social:huggingface';
}

/** What happens inside and is counted under its own name. */
const COUNTED = [
  'authorization_code.consumed', 'backchannel.error', 'backchannel.success', 'grant.error', 'grant.revoked', 'grant.success',
  'refresh_token.consumed',
];

/**
 * Logto's: never after a year, else from 70 % of the token's life on; or always, as for single-page applications. It is asked
 * when the token has been found good and nothing has been done with it yet, which is where Logto judges `organization_id`.
 */
function rotateRefreshToken(ctx, rotate) {
  const { RefreshToken: token, Account: { accountId } } = ctx.oidc.entities;
  const { organizationId } = ctx.req;
  if (organizationId && !permissionsIn(accountId, organizationId)) throw new NotAMember();
  if (rotate === 'always') return true;
  return rotate && token.totalLifetime() < 365.25 * DAY && token.ttlPercentagePassed() >= 70;
}

export function makeProvider(Provider, { issuer, settings, keys, storage, count }) {
  const resources = new Map(settings.resources.map((indicator) => [indicator, settings.resource_scopes]));
  resources.set(ORGANIZATIONS, ORGANIZATION_PERMISSIONS.join(' '));
  const provider = new Provider(issuer, {
    adapter: storage.adapter,
    jwks: keys.jwks,
    cookies: {
      keys: [cookieKey],
      long: { signed: true, httpOnly: true, sameSite: 'lax', overwrite: true, maxAge: 14 * DAY * 1000 },
      short: { signed: true, httpOnly: true, sameSite: 'lax', overwrite: true },
    },
    clients: [{
      client_id: settings.client_id,
      client_secret: settings.client_secret,
      application_type: 'web',
      grant_types: ['authorization_code', 'refresh_token', TOKEN_EXCHANGE],
      response_types: ['code'],
      // Either way of sending the secret is accepted, as at Logto.
      token_endpoint_auth_method: 'client_secret_basic',
      id_token_signed_response_alg: keys.algorithm,
      redirect_uris: settings.redirect_uris,
      post_logout_redirect_uris: settings.post_logout_redirect_uris,
      ...(settings.backchannel_logout_uri ? {
        backchannel_logout_uri: settings.backchannel_logout_uri,
        backchannel_logout_session_required: settings.backchannel_logout_session_required,
      } : {}),
    }, ...settings.more_clients.map((client) => ({ id_token_signed_response_alg: keys.algorithm, ...client }))],
    enabledJWA: { idTokenSigningAlgValues: ASYMMETRIC },
    scopes: ['openid', 'offline_access', ...Object.keys(CLAIMS_BY_SCOPE)],
    claims: { ...CLAIMS_BY_SCOPE, sid: null, auth_time: null, iss: null },
    conformIdTokenClaims: false,
    pkce: { required: () => true, ...(settings.version === 8 ? { methods: ['S256'] } : {}) },
    extraParams: EXTRA_PARAMETERS,
    features: {
      devInteractions: { enabled: false },
      backchannelLogout: { enabled: true },
      claimsParameter: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: false },
      introspection: { enabled: true },
      pushedAuthorizationRequests: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => undefined,
        useGrantedResource: () => false,
        getResourceServerInfo(ctx, indicator) {
          if (!resources.has(indicator)) throw new InvalidTarget();
          const { organizationId } = ctx.req;
          const isOrganization = organizationId && indicator === ORGANIZATIONS;
          return {
            audience: isOrganization ? `urn:logto:organization:${organizationId}` : indicator,
            // Whose the token will be is not known yet when this is asked for the first time.
            scope: isOrganization
              ? (permissionsIn(ctx.oidc.entities.Account?.accountId, organizationId) ?? []).join(' ') : resources.get(indicator),
            accessTokenFormat: 'jwt',
            accessTokenTTL: settings.resource_token_ttl,
            jwt: { sign: { alg: keys.algorithm } },
          };
        },
      },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource(ctx, form) {
          ctx.type = 'html';
          ctx.body = endSession(form);
        },
      },
    },
    // First-party applications are never asked for consent.
    async loadExistingGrant(ctx) {
      const { client, session, requestParamScopes } = ctx.oidc;
      const grantId = ctx.oidc.result?.consent?.grantId ?? session.grantIdFor(client.clientId);
      const grant = (grantId && (await ctx.oidc.provider.Grant.find(grantId)))
        ?? new ctx.oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId });
      grant.addOIDCScope([...requestParamScopes].join(' '));
      for (const [resource, scopes] of resources) grant.addResourceScope(resource, scopes);
      await grant.save();
      return grant;
    },
    // The application setting "always issue refresh token" binds the token to the session; offline_access does not.
    issueRefreshToken: (ctx, client, code) => settings.always_issue_refresh_token || code.scopes.has('offline_access'),
    expiresWithSession: (ctx, token) => !token.scopes.has('offline_access'),
    rotateRefreshToken: (ctx) => rotateRefreshToken(ctx, settings.rotate_refresh_token),
    // A token for a resource within an organization says so. Version 8 has no context in a grant type of one's own.
    extraTokenClaims: (ctx, token) => {
      const organization = ctx?.req.organizationId;
      return organization && resources.has(token.aud) ? { organization_id: organization } : undefined;
    },
    findAccount: (ctx, sub) => account(sub, settings, ctx.oidc.route),
    // Version 9 refuses to call loopback through the dispatcher it gives along; Logto has a switch for that.
    ...(settings.version === 9 ? { fetch: (url, { dispatcher, ...options }) => fetch(url, options) } : {}),
    interactions: { url: () => '/sign-in' },
    ttl: {
      AccessToken: settings.access_token_ttl,
      AuthorizationCode: 60,
      Grant: 180 * DAY,
      IdToken: settings.id_token_ttl,
      Interaction: 3600,
      RefreshToken: settings.refresh_token_ttl,
      Session: settings.session_ttl,
    },
    renderError(ctx, out) {
      ctx.type = 'json';
      ctx.body = { code: `oidc.${out.error}`, message: out.error_description, ...out };
    },
  });
  provider.registerGrantType(TOKEN_EXCHANGE, (ctx, next) => exchange(provider, settings, ctx, next), EXCHANGE_PARAMETERS, new Set());
  for (const event of COUNTED) provider.on(event, () => count(event));
  provider.on('backchannel.error', (ctx, error) => process.stderr.write(`backchannel.error ${error.stack}\n`));
  provider.on('server_error', (ctx, error) => process.stderr.write(`server_error ${error.stack}\n`));
  return provider;
}

/** Logto's exchange of personal access tokens (RFC 8693), which leaves a grant behind each time. */
async function exchange(provider, settings, ctx, next) {
  const { params, client } = ctx.oidc;
  const sub = settings.personal_access_tokens[params.subject_token];
  if (params.subject_token_type !== 'urn:logto:token-type:personal_access_token' || !sub || !account(sub, settings, 'token')) {
    throw new InvalidGrant();
  }
  const grant = new provider.Grant({ clientId: client.clientId, accountId: sub });
  grant.addOIDCScope(params.scope);
  const token = new provider.AccessToken({
    accountId: sub, client, grantId: await grant.save(), gty: TOKEN_EXCHANGE, scope: params.scope, expiresWithSession: false,
  });
  ctx.body = { access_token: await token.save(), expires_in: token.expiration, scope: params.scope, token_type: 'Bearer' };
  // Version 9 has no next one.
  await next?.();
}

class InvalidGrant extends Error {
  constructor() {
    super('invalid_grant');
    Object.assign(this, {
      error: 'invalid_grant', error_description: 'grant request is invalid', status: 400, statusCode: 400, expose: true,
    });
  }
}

class InvalidTarget extends Error {
  constructor() {
    super('invalid_target');
    Object.assign(this, {
      error: 'invalid_target', error_description: 'resource indicator is missing, or unknown', status: 400, statusCode: 400, expose: true,
    });
  }
}

class NotAMember extends Error {
  constructor() {
    super('access_denied');
    Object.assign(this, {
      error: 'access_denied', error_description: 'user is not a member of the organization', status: 403, statusCode: 403, expose: true,
    });
  }
}
