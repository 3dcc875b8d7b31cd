// Judges one request as a receiver under Node would. In: {headers, body, apiKey, secret} as JSON.
// Out: {livekit, standard}, each the event's id, or "refused: …".

import { readFileSync } from "node:fs";
import { WebhookReceiver } from "livekit-server-sdk";
import { Webhook } from "standardwebhooks";

const { headers, body, apiKey, secret } = JSON.parse(readFileSync(0, "utf8"));

async function judge(receive) {
  try {
    return (await receive()).id;
  } catch (error) {
    return `refused: ${error.message}`;
  }
}

const webhook = secret.startsWith("whsec_")
  ? new Webhook(secret)
  : new Webhook(Buffer.from(secret, "utf8"), { format: "raw" });

console.log(
  JSON.stringify({
    livekit: await judge(() =>
      new WebhookReceiver(apiKey, secret).receive(body, headers.Authorization),
    ),
    standard: await judge(() => webhook.verify(body, headers)),
  }),
);
