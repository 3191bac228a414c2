// Starts one provider on loopback, and a control port beside it.
//
//   node server.mjs '{"version": 9, "client_id": "…", "client_secret": "…", "redirect_uris": ["…"]}'
//
// One line of JSON on standard output says where both listen, as soon as both do:
//   {"version":9,"endpoint":"http://127.0.0.1:PORT","issuer":"http://127.0.0.1:PORT/oidc","control":"http://127.0.0.1:PORT"}
// It ends when standard input does, so that it cannot outlive the test that started it.
//
// Control, all POST with JSON but for the two GET:
//   GET  /counters          requests by method and path, token calls as "grant <type>", "refresh token again" for one that was
//                           sent before, and oidc-provider's own events
//   POST /counters/reset
//   GET  /sessions          who is signed in at the provider
//   POST /sessions/end      {"sub"?: …}: sessions end, grants live; nobody is told
//   POST /grants/evict      {"sub"?: …}: grants and tokens end, sessions live
//   POST /users             {"sub": …, "change": {…}} as in personas.mjs; who is suspended or deleted loses everything
//   POST /faults            {"grant": "refresh_token" | "authorization_code" | "*", "kind": …, "ms"?: …, "times"?: …}
//                           kind: slow (looks at it later) · late (answers later) · error (503) · reset (before it is looked at)
//                           · lost (reset after it was done) · none
//   POST /listening         {"on": false}: as if the program had ended, and with true as if it were started again
//   POST /rotate            {"algorithm": "RS256"}
//   POST /settings          {any of the settings below}

import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

import { SigningKeys } from './keys.mjs';
import { HUGGING_FACE, SIGN_IN, SUSPENDED, UNKNOWN_SESSION } from './pages.mjs';
import { change, persona } from './personas.mjs';
import { loadVersion, makeProvider, ORGANIZATIONS, wantsHuggingFace } from './provider.mjs';
import { GRANTABLE, Storage } from './storage.mjs';

const DAY = 24 * 60 * 60;
const KINDS = new Set(['slow', 'late', 'error', 'reset', 'lost', 'none']);

const settings = {
  version: 9,
  algorithm: 'ES384',
  client_id: 'app',
  client_secret: 'secret',
  redirect_uris: [],
  post_logout_redirect_uris: [],
  backchannel_logout_uri: '',
  backchannel_logout_session_required: true,
  // As Logto does; "always": at every use; false: never.
  rotate_refresh_token: true,
  // Seconds, except where the name says otherwise.
  access_token_ttl: 3600,
  id_token_ttl: 3600,
  refresh_token_ttl: 14 * DAY,
  refresh_token_leeway_ms: 3000,
  session_ttl: 14 * DAY,
  always_issue_refresh_token: false,
  extended_claims_in_id_token: false,
  resources: [],
  resource_scopes: '',
  resource_token_ttl: 3600,
  // As `clients` of oidc-provider.
  more_clients: [],
  // Personal access tokens, and whose they are.
  personal_access_tokens: {},
  ...JSON.parse(process.argv[2] ?? '{}'),
};

const Provider = await loadVersion(settings.version);
const storage = new Storage(settings);
const keys = new SigningKeys(settings.algorithm);
const faults = new Map();
const sent = new Set();
let counters = {};
let provider;
let handle;

const front = createServer((request, response) => {
  serve(request, response).catch((error) => fail(response, error));
});
const control = createServer((request, response) => {
  command(request).then(
    (result) => send(response, 200, 'application/json', JSON.stringify(result)),
    (error) => send(response, 400, 'application/json', JSON.stringify({ error: error.message })),
  );
});

const endpoint = `http://127.0.0.1:${await listen(front)}`;
const issuer = `${endpoint}/oidc`;
rebuild();
const controlUrl = `http://127.0.0.1:${await listen(control)}`;
process.stdout.write(`${JSON.stringify({ version: settings.version, endpoint, issuer, control: controlUrl })}\n`);
process.stdin.on('end', () => process.exit(0)).resume();

function rebuild() {
  provider = makeProvider(Provider, { issuer, settings, keys, storage, count });
  handle = provider.callback();
}

async function serve(request, response) {
  const { pathname } = new URL(request.url, endpoint);
  if (pathname.startsWith('/oidc/')) {
    count(`${request.method} ${pathname.replace(/^(\/oidc\/auth)\/.+/, '$1/resume')}`);
    request.originalUrl = request.url;
    request.url = request.url.slice('/oidc'.length);
    if (request.method === 'POST' && pathname === '/oidc/token') await token(request, response);
    else handle(request, response);
  } else if (pathname === '/sign-in' || pathname === '/sign-in/huggingface') {
    await signIn(request, response, pathname);
  } else {
    send(response, 404, 'text/plain', 'not found\n');
  }
}

/**
 * The token endpoint, and what a test wants to go wrong there. The grant must be known before the provider reads the body,
 * so it is read here; the provider takes it from the request then.
 */
async function token(request, response) {
  request.body = await bytesOf(request);
  const form = new URLSearchParams(request.body.toString());
  const grant = form.get('grant_type');
  count(`grant ${grant}`);
  if (grant === 'refresh_token') refreshing(request, form);
  const { kind, ms } = nextFault(grant) ?? {};
  if (kind === 'slow') await sleep(ms);
  if (kind === 'error') {
    const body = { error: 'server_error', error_description: 'oops! something went wrong' };
    send(response, 503, 'application/json', JSON.stringify(body));
    return;
  }
  if (kind === 'reset') {
    request.socket.resetAndDestroy();
    return;
  }
  if (kind === 'lost' || kind === 'late') {
    const end = response.end.bind(response);
    response.end = (...answer) => {
      if (kind === 'lost') request.socket.resetAndDestroy();
      else setTimeout(() => end(...answer), ms);
      return response;
    };
  }
  handle(request, response);
}

/**
 * Logto's own parameter, which oidc-provider does not know: a token for an organization is made as one for the resource under
 * which its permissions are asked for.
 */
function refreshing(request, form) {
  const token = form.get('refresh_token');
  if (sent.has(token)) count('refresh token again');
  sent.add(token);
  request.organizationId = form.get('organization_id');
  if (request.organizationId && !form.has('resource')) {
    form.append('resource', ORGANIZATIONS);
    request.body = Buffer.from(form.toString());
  }
}

function nextFault(grant) {
  const name = faults.has(grant) ? grant : '*';
  const fault = faults.get(name);
  if (!fault) return undefined;
  fault.times -= 1;
  if (fault.times <= 0) faults.delete(name);
  return fault;
}

/**
 * The sign-in pages. One path for every sign-in, so the browser keeps one pending sign-in at a time: with two tabs open
 * the first to finish, finishes the one that was begun last, which is what Logto does.
 */
async function signIn(request, response, pathname) {
  let interaction;
  try {
    interaction = await provider.interactionDetails(request, response);
  } catch (error) {
    if (error.name !== 'SessionNotFound') throw error;
    send(response, 400, 'text/html', UNKNOWN_SESSION);
    return;
  }
  if (interaction.prompt.name === 'consent') {
    await provider.interactionFinished(request, response, { consent: {} });
  } else if (request.method === 'POST') {
    const form = new URLSearchParams(await bodyOf(request));
    const chosen = persona(form.get('persona'));
    if (form.get('social') === 'huggingface') response.writeHead(303, { location: '/sign-in/huggingface' }).end();
    else if (!chosen) send(response, 400, 'text/html', SIGN_IN);
    else if (chosen.suspended) send(response, 403, 'text/html', SUSPENDED);
    else await provider.interactionFinished(request, response, { login: { accountId: chosen.sub } }, { mergeWithLastSubmission: false });
  } else if (pathname === '/sign-in' && wantsHuggingFace(interaction.params) && !request.headers.referer?.endsWith('/huggingface')) {
    response.writeHead(303, { location: '/sign-in/huggingface' }).end();
  } else {
    send(response, 200, 'text/html', pathname === '/sign-in' ? SIGN_IN : HUGGING_FACE);
  }
}

async function command(request) {
  const { pathname } = new URL(request.url, endpoint);
  const given = request.method === 'POST' ? JSON.parse((await bodyOf(request)) || '{}') : {};
  switch (`${request.method} ${pathname}`) {
    case 'GET /counters':
      return counters;
    case 'POST /counters/reset':
      counters = {};
      return counters;
    case 'GET /sessions':
      return [...storage.of('Session')].map(([, session]) => session.accountId).filter(Boolean);
    case 'POST /sessions/end':
      return { ended: storage.dropAllOf(given.sub, new Set(['Session'])) };
    case 'POST /grants/evict':
      return { ended: storage.dropAllOf(given.sub, new Set([...GRANTABLE, 'Grant'])) };
    case 'POST /users': {
      const { suspended, deleted } = change(given.sub, given.change);
      return { ended: suspended || deleted ? storage.dropAllOf(given.sub) : 0 };
    }
    case 'POST /faults': {
      const { grant = '*', kind, ms = 0, times = Infinity } = given;
      if (!KINDS.has(kind)) throw new RangeError(`unknown kind of fault: ${kind}`);
      if (kind === 'none') faults.delete(grant);
      else faults.set(grant, { kind, ms, times });
      return { grant, kind };
    }
    case 'POST /listening':
      if (given.on) await listen(front, Number(new URL(endpoint).port));
      else front.close().closeAllConnections();
      return { on: given.on };
    case 'POST /rotate':
      keys.rotate(given.algorithm);
      rebuild();
      return { algorithm: keys.algorithm };
    case 'POST /settings':
      for (const name of Object.keys(given)) {
        if (!Object.hasOwn(settings, name)) throw new RangeError(`unknown setting: ${name}`);
      }
      Object.assign(settings, given);
      rebuild();
      return { ...settings, client_secret: undefined };
    default:
      throw new RangeError(`unknown command: ${request.method} ${pathname}`);
  }
}

function count(name) {
  counters[name] = (counters[name] ?? 0) + 1;
}

function fail(response, error) {
  process.stderr.write(`${error.stack}\n`);
  if (!response.headersSent) send(response, 500, 'text/plain', 'internal error\n');
}

function send(response, status, type, text) {
  response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-store' }).end(text);
}

async function bodyOf(request) {
  return (await bytesOf(request)).toString();
}

async function bytesOf(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function listen(server, port = 0) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server.address().port));
  });
}
