// An MCP server made with the official SDK, over Streamable HTTP with sessions, and at /sse over HTTP+SSE, the transport of
// 2024.
//
// usage: node mcp-server.mjs '{"text": "…", "json": false, "quiet": false}'
//
// Listens on a free port of 127.0.0.1 and prints {"url": "http://127.0.0.1:PORT"}. Its tools answer with
// `text` in every place that a tool has: text content, structured content, an embedded resource; before
// the answer in a progress notification and a log message, and on the stream that a client keeps open for
// the server's own messages. With `json` answers are JSON, otherwise server-sent events.
// When it is quiet, only answers of tools have `text` in them. The tool `ask` asks the client's model, on that same stream.
// GET /seen gives the arguments that its tools were called with, and what clients answered when they were asked.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { SSEServerTransport } from '@modelcontextprotocol/sdk/server/sse.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { z } from 'zod';

const { text, json, quiet } = JSON.parse(process.argv[2]);
const seen = [];
const transports = new Map();

function newServer() {
  const server = new McpServer({ name: 'chaperone-tests', version: '1.0.0' }, { capabilities: { logging: {} } });
  const description = quiet ? 'Reads a note.' : `Reads a note. An example of one: ${text}`;
  const inputSchema = { path: z.string(), note: z.string().optional() };
  const outputSchema = { note: z.string() };
  server.registerTool('read', { description, inputSchema, outputSchema }, async (args, extra) => {
    seen.push(args);
    const progressToken = extra._meta?.progressToken;
    if (progressToken !== undefined && !quiet) {
      const params = { progressToken, progress: 1, total: 2, message: `at ${text}` };
      await extra.sendNotification({ method: 'notifications/progress', params });
    }
    const message = { method: 'notifications/message', params: { level: 'info', data: { line: text } } };
    // With the answer, then on the client's own stream.
    if (!json && !quiet) await extra.sendNotification(message);
    if (!quiet) await server.server.notification(message);
    return {
      content: [
        { type: 'text', text },
        { type: 'resource', resource: { uri: 'file:///note', mimeType: 'text/plain', text } },
      ],
      structuredContent: { note: text },
    };
  });
  server.registerTool('fail', { description: 'Fails.', inputSchema }, async () => {
    throw new Error(`it failed: ${text}`);
  });
  server.registerTool('ask', { description: 'Asks a model.', inputSchema }, async () => {
    const messages = [{ role: 'user', content: { type: 'text', text } }];
    const { content } = await server.server.createMessage({ messages, systemPrompt: text, maxTokens: 100 });
    seen.push(content);
    return { content: [content] };
  });
  return server;
}

const server = createServer(async (request, response) => {
  if (request.url === '/seen') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(seen));
    return;
  }
  const { pathname, searchParams } = new URL(request.url, 'http://127.0.0.1');
  if (pathname === '/sse') {
    const transport = new SSEServerTransport('/messages', response);
    transports.set(transport.sessionId, transport);
    await newServer().connect(transport);
    return;
  }
  if (pathname === '/messages') {
    await transports.get(searchParams.get('sessionId')).handlePostMessage(request, response);
    return;
  }
  let transport = transports.get(request.headers['mcp-session-id']);
  if (!transport) {
    transport = new StreamableHTTPServerTransport({
      sessionIdGenerator: () => randomUUID(),
      enableJsonResponse: json,
      onsessioninitialized: (id) => void transports.set(id, transport),
    });
    await newServer().connect(transport);
  }
  await transport.handleRequest(request, response);
});
server.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ url: `http://127.0.0.1:${server.address().port}` }));
});

// When the test that started it goes away, its end of the pipe closes.
process.stdin.on('end', () => process.exit(0)).resume();
