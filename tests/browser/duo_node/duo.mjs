// One call of Duo's SDK for Node, as it is published: node duo.mjs '{"call": …}' prints JSON.
import { readFileSync } from "node:fs";
import { Agent } from "node:https";
import { Client } from "@duosecurity/duo_universal";

const { call, ca, client: options, given = [] } = JSON.parse(process.argv[2]);
const client = new Client(options);
// This release has no setting for the certificates that it trusts; docs/duo.md says so.
client.axios.defaults.httpsAgent = new Agent({ ca: readFileSync(ca) });
try {
  console.log(JSON.stringify({ told: await client[call](...given) }));
} catch (error) {
  console.log(JSON.stringify({ refused: error.message }));
}
