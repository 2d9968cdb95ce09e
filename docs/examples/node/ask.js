// Asks a TAME Router from Node, from the .proto files alone.
//
//   npm install
//   node ask.js "MOSFET 的 gate driver 要怎麼選?" [HOST:PORT]
//
// TAME_API_KEY     the key, where the router wants one; over TLS, or to this machine only
// TLS_CA           PEM file of the authorities; `system`: those of Node
// TLS_CERT, TLS_KEY  PEM files of a client certificate and its private key
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [question = "你好", server = "127.0.0.1:50051"] = process.argv.slice(2);
const protos = process.env.TAME_PROTOS ?? fileURLToPath(new URL("../../../protos", import.meta.url));
const { TAME_API_KEY, TLS_CA, TLS_CERT, TLS_KEY } = process.env;

const read = (file) => (file ? readFileSync(file) : null);
const credentials = TLS_CA
  ? grpc.credentials.createSsl(
      TLS_CA === "system" ? null : read(TLS_CA),
      read(TLS_KEY),
      read(TLS_CERT),
    )
  : grpc.credentials.createInsecure();
const metadata = new grpc.Metadata();
if (TAME_API_KEY) {
  if (!TLS_CA && !/^(127\.[\d.]+|localhost|\[::1\]):\d+$/.test(server)) {
    throw new Error("a key would go to another machine without TLS; set TLS_CA");
  }
  metadata.set("authorization", `Bearer ${TAME_API_KEY}`);
}

const definition = loader.loadSync("tame_router/v1/router_service.proto", {
  includeDirs: [protos],
  defaults: true,
  enums: String,
  oneofs: true,
});
const { RouterService } = grpc.loadPackageDefinition(definition).tame_router.v1;
const client = new RouterService(server, credentials);

const request = { messages: [{ role: "ROLE_USER", content: question }] };
const call = client.StreamChat(request, metadata);
call.on("data", (response) => {
  if (response.event === "decisionMade") {
    const [lead] = response.decisionMade.decision.experts;
    console.error(`${lead.expert} ${lead.probability.toFixed(2)}`);
  } else if (response.event === "delta") {
    process.stdout.write(response.delta.text);
  }
});
call.on("end", () => process.stdout.write("\n"));
call.on("error", (error) => {
  console.error(`${grpc.status[error.code]}: ${error.details}`);
  process.exitCode = 1;
});
