// The OpenID provider of the end-to-end tests: npm's certified `oidc-provider` (version 8: 9 wants
// Node 22, and 20 is what current Debian has), with client
// credentials, resource indicators (RFC 8707) and JWT access tokens (RFC 9068), as an agent's
// workload identity would get them.
//
// usage: node server.mjs '{"clients": [{"id": "…", "secret": "…", "groups": ["…"]}], "ttl": 300}'
//
// Listens on two free ports of 127.0.0.1 and prints one line of JSON when both are ready:
//   {"issuer": "http://127.0.0.1:PORT", "control": "http://127.0.0.1:PORT"}
// The control port is the test's own, no part of OpenID:
//   POST /rotate?keep_old=true|false   makes a new signing key; false removes the old ones from the set
//   POST /clients  {"id", "secret", "groups"}   adds a client, or replaces it
//   POST /available?is=true|false      false answers discovery and keys with 503, as an outage would
//   GET  /requests                     how often each path has been asked for
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const settings = JSON.parse(process.argv[2] ?? '{}');
const clients = new Map((settings.clients ?? []).map((client) => [client.id, client]));
const ttl = settings.ttl ?? 300;
const algorithm = settings.algorithm ?? 'RS256';

const listen = (handler) =>
  new Promise((resolve, reject) => {
    const server = createServer((request, response) => handler(request, response));
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
const addressOf = (server) => `http://127.0.0.1:${server.address().port}`;

function newKey() {
  const kinds = {
    RS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    PS256: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    EdDSA: () => generateKeyPairSync('ed25519'),
  };
  const { privateKey } = kinds[algorithm]();
  return { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: algorithm };
}

function newProvider(issuer, keys) {
  const provider = new Provider(issuer, {
    jwks: { keys },
    cookies: { keys: [randomUUID()] },
    clients: [...clients.values()].map((client) => ({
      client_id: client.id,
      client_secret: client.secret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: algorithm,
    })),
    enabledJWA: { idTokenSigningAlgValues: [algorithm] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (ctx, audience) => ({
          audience,
          scope: '',
          accessTokenFormat: 'jwt',
          accessTokenTTL: ttl,
          jwt: { sign: { alg: algorithm } },
        }),
      },
    },
    extraTokenClaims: (ctx, token) => {
      const client = clients.get(token.clientId);
      return { groups: client?.groups ?? [], azp: token.clientId, ...client?.claims };
    },
    ttl: { ClientCredentials: ttl },
  });
  provider.on('server_error', (ctx, error) => console.error('server_error', error));
  provider.on('grant.error', (ctx, error) => console.error('grant.error', error.error_description ?? error.message));
  return provider.callback();
}

let handle;
let available = true;
let keys = [newKey()];
const requests = {};

const provider = await listen((request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  requests[pathname] = (requests[pathname] ?? 0) + 1;
  if (!available && (pathname === '/jwks' || pathname.startsWith('/.well-known/'))) {
    response.writeHead(503, { 'content-type': 'text/plain' }).end('out of service\n');
    return;
  }
  handle(request, response);
});
const issuer = addressOf(provider);
handle = newProvider(issuer, keys);

async function jsonOf(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

const control = await listen(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const answer = (status, body) => {
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  };
  try {
    switch (`${request.method} ${pathname}`) {
      case 'POST /rotate': {
        // The first key that fits is the one that signs.
        keys = [newKey(), ...(searchParams.get('keep_old') === 'false' ? [] : keys)];
        handle = newProvider(issuer, keys);
        return answer(200, { kid: keys[0].kid });
      }
      case 'POST /clients': {
        const client = await jsonOf(request);
        clients.set(client.id, client);
        handle = newProvider(issuer, keys);
        return answer(200, { id: client.id });
      }
      case 'POST /available':
        available = searchParams.get('is') !== 'false';
        return answer(200, { available });
      case 'GET /requests':
        return answer(200, requests);
      default:
        return answer(404, { error: `no ${request.method} ${pathname} here` });
    }
  } catch (error) {
    return answer(400, { error: String(error) });
  }
});

console.log(JSON.stringify({ issuer, control: addressOf(control) }));

// When the test that started it goes away, its end of the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume();
