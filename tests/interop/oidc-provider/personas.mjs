// The people who can sign in. Claims have the shapes that Logto gives them: milliseconds in created_at and updated_at,
// explicit nulls, roles by name, organization roles as `<organization id>:<role>`, Hugging Face below `identities`.

const CREATED = 1_700_000_000_000;

const PERSONAS = {
  plain: {
    sub: 'plain0000001',
    label: 'Plain user',
    profile: { name: 'Pat Plain', username: 'pat', picture: null },
    email: 'pat@example.com',
    roles: [],
    organizations: [],
    organization_roles: [],
    identities: {},
  },
  admin: {
    sub: 'admin0000001',
    label: 'Administrator',
    profile: { name: 'Ádám Ågren 管理', username: 'adam', picture: 'https://example.com/adam.png' },
    email: 'adam@example.com',
    roles: ['admin', 'editor'],
    organizations: ['org_alpha', 'org_beta'],
    organization_roles: ['org_alpha:owner', 'org_beta:member'],
    identities: {},
  },
  huggingface: {
    sub: 'hugging00001',
    label: 'Hugging Face user',
    profile: { name: 'Hugo Face', username: null, picture: 'https://example.com/hugo.png' },
    email: null,
    roles: ['member'],
    organizations: [],
    organization_roles: [],
    identities: {
      huggingface: {
        userId: '62f0c0ffee0000000000abcd',
        details: {
          id: '62f0c0ffee0000000000abcd',
          name: 'Hugo Face',
          email: null,
          avatar: 'https://example.com/hugo.png',
          rawData: {
            sub: '62f0c0ffee0000000000abcd',
            name: 'Hugo Face',
            preferred_username: 'hugo-face',
            picture: 'https://example.com/hugo.png',
            email_verified: false,
            isPro: false,
            orgs: [
              { sub: '5e67bdd61009063689407479', name: 'Diffusers', preferred_username: 'diffusers', isEnterprise: false },
              { sub: '5e67c47c100906368940747e', name: 'Tokenizers', preferred_username: 'tokenizers', isEnterprise: true },
            ],
          },
        },
      },
    },
  },
  // Logto tells a suspended user so on its own page; the client never hears of it.
  suspended: {
    sub: 'suspended001',
    label: 'Suspended user',
    suspended: true,
    profile: { name: 'Sue Suspended', username: 'sue', picture: null },
    email: 'sue@example.com',
    roles: [],
    organizations: [],
    organization_roles: [],
    identities: {},
  },
};

/** Scope to claims, as oidc-provider wants them. */
export const CLAIMS_BY_SCOPE = {
  openid: ['sub'],
  profile: ['name', 'preferred_username', 'picture', 'username', 'created_at', 'updated_at'],
  email: ['email', 'email_verified'],
  roles: ['roles'],
  'urn:logto:scope:organizations': ['organizations', 'organization_data'],
  'urn:logto:scope:organization_roles': ['organization_roles'],
  identities: ['identities', 'sso_identities'],
  custom_data: ['custom_data'],
};

/** What roles in an organization permit. */
const PERMISSIONS_BY_ROLE = { owner: ['read:members', 'manage:members'], member: ['read:members'] };
export const ORGANIZATION_PERMISSIONS = PERMISSIONS_BY_ROLE.owner;

// Logto's default: these come from userinfo only, whatever the scope.
const NOT_IN_ID_TOKEN = ['identities', 'sso_identities', 'custom_data', 'organization_data'];

export function persona(name) {
  return Object.hasOwn(PERSONAS, name) && !PERSONAS[name].deleted ? PERSONAS[name] : undefined;
}

/**
 * Changes someone: roles, organizations, organization_roles, suspended, deleted, access_denied (refused by the
 * application's access control).
 */
export function change(sub, given) {
  const found = Object.values(PERSONAS).find((one) => one.sub === sub);
  if (!found) throw new RangeError(`unknown user: ${sub}`);
  for (const name of Object.keys(given)) {
    if (!CHANGEABLE.has(name)) throw new RangeError(`this cannot be changed: ${name}`);
  }
  Object.assign(found, given);
  return found;
}

const CHANGEABLE = new Set(['roles', 'organizations', 'organization_roles', 'suspended', 'deleted', 'access_denied']);

/** What a user may do in an organization; undefined for one who is not a member. */
export function permissionsIn(sub, organization) {
  const found = Object.values(PERSONAS).find((one) => one.sub === sub);
  if (!found?.organizations.includes(organization)) return undefined;
  const roles = found.organization_roles.filter((role) => role.startsWith(`${organization}:`));
  return roles.flatMap((role) => PERMISSIONS_BY_ROLE[role.slice(organization.length + 1)] ?? []);
}

export function personaNames() {
  return Object.keys(PERSONAS);
}

/** An oidc-provider account, or undefined when nobody has this `sub`. */
export function account(sub, settings, route) {
  const found = Object.values(PERSONAS).find((one) => one.sub === sub);
  if (!found || found.deleted || found.suspended) return undefined;
  // Logto refuses such a user a refresh, while userinfo goes on answering.
  if (found.access_denied && route === 'token') throw new AccessDenied();
  return {
    accountId: sub,
    async claims(use) {
      const claims = {
        sub,
        ...found.profile,
        ...(found.profile.username ? { preferred_username: found.profile.username } : {}),
        created_at: CREATED,
        updated_at: Date.now(),
        email: found.email,
        email_verified: found.email !== null,
        roles: found.roles,
        organizations: found.organizations,
        organization_data: found.organizations.map((id) => ({ id, name: id.toUpperCase(), description: null })),
        organization_roles: found.organization_roles,
        identities: found.identities,
        sso_identities: [],
        custom_data: {},
      };
      if (use === 'id_token' && !settings.extended_claims_in_id_token) {
        for (const name of NOT_IN_ID_TOKEN) delete claims[name];
      }
      return claims;
    },
  };
}

class AccessDenied extends Error {
  constructor() {
    super('access_denied');
    Object.assign(this, {
      error: 'access_denied', error_description: 'Access denied.', status: 400, statusCode: 400, expose: true,
    });
  }
}
