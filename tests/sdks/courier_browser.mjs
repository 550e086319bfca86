// npm @trycourier/courier-js 3.x, the vendor's library for browsers: call its methods about a user, and print their names.
import assert from "node:assert/strict";
import courier from "@trycourier/courier-js"; // its module for Node.js has a default export alone

const { CourierClient } = courier;
const url = process.env.COURIER_URL;
const key = process.env.COURIER_KEY;
const userId = "browser-7";
const apiUrls = {
  courier: { rest: url, graphql: `${url}/client/q` },
  inbox: { graphql: url, webSocket: url },
};
const client = new CourierClient({ userId, jwt: key, apiUrls, showLogs: false });
const read = async (path) => {
  const reply = await fetch(`${url}${path}`, { headers: { Authorization: `Bearer ${key}` } });
  return { status: reply.status, body: await reply.json() };
};

const device = { appId: "shop", deviceId: "d1", platform: "ios", model: "M1" };
await client.tokens.putUserToken({ token: "t1", provider: "apn", device });
const { body: token } = await read(`/users/${userId}/tokens/t1`);
assert.deepEqual([token.provider_key, token.status, token.device.app_id], ["apn", "active", "shop"]);
await client.tokens.deleteUserToken({ token: "t1" });
assert.deepEqual((await read(`/users/${userId}/tokens`)).body, { tokens: [] });

await client.lists.putSubscription({ listId: "news", clientKey: "public" });
const { body: page } = await read("/lists/news/subscriptions");
assert.deepEqual(page.items.map((each) => each.recipientId), [userId]);
await client.lists.deleteSubscription({ listId: "news", clientKey: "public" });
assert.equal((await read("/lists/news")).status, 404);

// Its other calls are not served: it shows the gateway's message.
await assert.rejects(client.preferences.getUserPreferences(), /there is no such call/);

console.log("tokens.putUserToken tokens.deleteUserToken lists.putSubscription lists.deleteSubscription");
