// Asks a TAME Router with OpenAI's own Node SDK: stream, tools, JSON, cancel, errors.
//
//   npm install
//   export TAME_API_KEY=…           # not needed where the router runs with --insecure
//   node ask.mjs http://127.0.0.1:8080/v1
import OpenAI from "openai";

const baseURL = process.argv[2] ?? "http://127.0.0.1:8080/v1";
const client = new OpenAI({ baseURL, apiKey: process.env.TAME_API_KEY || "none" });
const messages = [{ role: "user", content: "租約到期了，房東一直不退押金，該怎麼辦？" }];

// An answer while it is written; the last chunk tells the tokens.
const chunks = await client.chat.completions.create({
  model: "tame-auto",
  messages,
  max_tokens: 32,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of chunks) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? "");
  if (chunk.usage) console.log(`\nstreamed ${chunk.usage.completion_tokens} tokens`);
}

// A function that the expert wants called.
const weather = {
  type: "function",
  function: {
    name: "weather",
    description: "今天某個城市的天氣",
    parameters: {
      type: "object",
      properties: { city: { type: "string", enum: ["台北", "台南"] } },
      required: ["city"],
    },
  },
};
const wanting = await client.chat.completions.create({
  model: "tame-auto",
  messages: [{ role: "user", content: "今天台北要帶傘嗎？" }],
  tools: [weather],
  tool_choice: { type: "function", function: { name: "weather" } },
  max_tokens: 64,
});
for (const call of wanting.choices[0].message.tool_calls ?? []) {
  console.log("wants", call.function.name, call.function.arguments);
}

// An answer that is JSON of a schema, from one expert, resting on a document.
const held = await client.chat.completions.create({
  model: "legal",
  messages,
  max_tokens: 320,
  response_format: {
    type: "json_schema",
    json_schema: {
      name: "reply",
      strict: true,
      schema: {
        type: "object",
        properties: { summary: { type: "string", maxLength: 40 } },
        required: ["summary"],
        additionalProperties: false,
      },
    },
  },
  documents: [{ title: "租賃契約", text: "押金應於租期屆滿時返還。" }],
});
console.log("JSON", JSON.parse(held.choices[0].message.content));

// Leaving before the end: the expert stops writing.
const left = await client.chat.completions.create({ model: "tame-auto", messages, stream: true });
for await (const _ of left) {
  left.controller.abort();
  break;
}
console.log("cancelled");

// Errors are those of OpenAI's SDK, by their status.
try {
  await client.chat.completions.create({ model: "astrology", messages });
} catch (error) {
  if (!(error instanceof OpenAI.NotFoundError)) throw error;
  console.log("refused", error.code);
}
