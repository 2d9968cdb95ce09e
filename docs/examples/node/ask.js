// Asks a TAME Router from Node, from the .proto files alone.
//
//   npm install
//   node ask.js "MOSFET 的 gate driver 要怎麼選?" [HOST:PORT]
import { fileURLToPath } from "node:url";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [question = "你好", server = "127.0.0.1:50051"] = process.argv.slice(2);
const protos = process.env.TAME_PROTOS ?? fileURLToPath(new URL("../../../protos", import.meta.url));

const definition = loader.loadSync("tame_router/v1/router_service.proto", {
  includeDirs: [protos],
  defaults: true,
  enums: String,
  oneofs: true,
});
const { RouterService } = grpc.loadPackageDefinition(definition).tame_router.v1;
const client = new RouterService(server, grpc.credentials.createInsecure());

const call = client.StreamChat({ messages: [{ role: "ROLE_USER", content: question }] });
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
