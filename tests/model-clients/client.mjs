// The official clients of model providers and of MCP, as agents use them: npm's `openai`,
// `@anthropic-ai/sdk` and `@modelcontextprotocol/sdk`, unmodified. (`openai` 7 wants Node 22, and 20 is
// what current Debian has.)
//
// usage: node client.mjs, then one line of JSON per call on standard input:
//   {"id": 1, "call": "openai.chat.stream", "base": "http://api.example:PORT", "token": "…", "request": {…}}
// Each gives one line, in the order in which the calls end:
//   {"id": 1, "events": […], "final": {…}, "raw": "…"}     what the client made of it
//   {"id": 1, "error": {"name": "…", "status": 403, …}, "events": […], "raw": "…"}   what it complained of
// `events` is what the client handed out one by one, `final` what it put together, `raw` the bytes of
// all response bodies, as base64.
//
// Names that end in .example are this machine, as /etc/hosts would say it.
import dns from 'node:dns';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import Anthropic from '@anthropic-ai/sdk';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

const lookup = dns.lookup;
dns.lookup = (host, options, done) => lookup(host.endsWith('.example') ? '127.0.0.1' : host, options, done);

/** A `fetch` that also keeps the bytes that it hands on, and says when a GET has its headers. */
function tap() {
  const bodies = [];
  let listening;
  const listens = new Promise((resolve) => (listening = resolve));
  const tapped = async (url, options) => {
    const response = await fetch(url, options);
    if ((options?.method ?? 'GET') === 'GET') listening();
    if (!response.body) return response;
    const [theirs, ours] = response.body.tee();
    bodies.push(
      (async () => {
        const pieces = [];
        try {
          for await (const piece of ours) pieces.push(piece);
        } catch {
          // The client sees the same end of the stream, and says so.
        }
        return Buffer.concat(pieces);
      })(),
    );
    const { status, statusText, headers } = response;
    return new Response(theirs, { status, statusText, headers });
  };
  const raw = async () => Buffer.concat(await Promise.all(bodies)).toString('base64');
  return { fetch: tapped, listens, raw };
}

const openai = ({ base, token, fetch }) => new OpenAI({ baseURL: `${base}/v1`, apiKey: token, maxRetries: 0, fetch });
const anthropic = ({ base, token, fetch }) =>
  new Anthropic({ baseURL: base, apiKey: null, authToken: token, maxRetries: 0, fetch });

const calls = {
  'openai.chat': async (call) => openai(call).chat.completions.create(call.request),
  'openai.chat.stream': async (call) => {
    const stream = openai(call).chat.completions.stream(call.request);
    stream.on('chunk', (chunk) => call.events.push(structuredClone(chunk)));
    return stream.finalChatCompletion();
  },
  'openai.responses': async (call) => openai(call).responses.create(call.request),
  'openai.responses.stream': async (call) => {
    const stream = openai(call).responses.stream(call.request);
    stream.on('event', (event) => call.events.push(structuredClone(event)));
    return stream.finalResponse();
  },
  'anthropic.messages': async (call) => anthropic(call).messages.create(call.request),
  'anthropic.messages.stream': async (call) => {
    const stream = anthropic(call).messages.stream(call.request);
    stream.on('streamEvent', (event) => call.events.push(structuredClone(event)));
    return stream.finalMessage();
  },
  // Everything that an agent does with a server: initialize, list, call; `request.calls` are the tools
  // to call, one after the other. Ends when all that was announced has come (`request.messages`). What the
  // server asks for (sampling) is answered with what was asked and `request.knows`. With `request.legacy` over
  // HTTP+SSE, MCP's transport of 2024: all messages of the server come on one stream.
  mcp: async (call) => {
    const client = new Client({ name: 'chaperone-tests', version: '1.0.0' }, { capabilities: { sampling: {} } });
    const { calls: tools, messages = 0, knows = '', legacy = false } = call.request;
    let told = () => {};
    const all = new Promise((resolve) => (told = resolve));
    let seen = 0;
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => {
      call.events.push(params);
      seen += 1;
      if (seen === messages) told();
    });
    client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => {
      call.events.push({ asked: params });
      const text = `${params.messages[0].content.text} ${knows}`;
      return { model: 'example-1', role: 'assistant', stopReason: 'endTurn', content: { type: 'text', text } };
    });
    client.onerror = (error) => call.complaints.push(String(error));
    const Transport = legacy ? SSEClientTransport : StreamableHTTPClientTransport;
    const transport = new Transport(new URL(`${call.base}/${legacy ? 'sse' : 'mcp'}`), {
      requestInit: { headers: { authorization: `Bearer ${call.token}` } },
      fetch: call.fetch,
    });
    try {
      await client.connect(transport);
      // Before, the server has nowhere to send messages of its own to.
      await call.listens;
      const final = { tools: (await client.listTools()).tools, results: [] };
      for (const { name, arguments: args } of tools) {
        // On one stream the SDK complains of progress that comes together with the answer.
        const onprogress = legacy ? undefined : (progress) => call.events.push({ progress });
        final.results.push(await client.callTool({ name, arguments: args }, undefined, { onprogress, timeout: 20_000 }));
      }
      if (messages > 0) await all;
      return final;
    } finally {
      await transport.terminateSession?.();
      // Its own stream of the server's messages is aborted by this, which is no complaint.
      client.onerror = () => {};
      await client.close();
    }
  },
};

const told = (error) => ({
  name: error.constructor.name,
  status: error.status,
  code: error.code,
  type: error.type,
  message: error.message,
  body: error.error,
  data: error.data,
});

for await (const line of createInterface({ input: process.stdin })) {
  const call = { events: [], complaints: [], ...JSON.parse(line) };
  const { fetch, listens, raw } = tap();
  Object.assign(call, { fetch, listens });
  const answer = async () => {
    const outcome = await calls[call.call](call).then(
      (final) => ({ final }),
      (error) => ({ error: told(error) }),
    );
    const { id, events, complaints } = call;
    // One write per line: lines of concurrent calls do not mix.
    process.stdout.write(`${JSON.stringify({ id, ...outcome, events, complaints, raw: await raw() })}\n`);
  };
  answer();
}
// The test that started it has gone away.
process.exit(0);
