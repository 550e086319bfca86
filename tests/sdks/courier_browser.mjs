// npm @trycourier/courier-js 3.x, the vendor's library for browsers: call its methods about a user, and print their names.
import assert from "node:assert/strict";
import courier from "@trycourier/courier-js"; // its module for Node.js has a default export alone

const { CourierClient } = courier;
const url = process.env.COURIER_URL;
const key = process.env.COURIER_KEY;
const userId = process.env.COURIER_USER;
const apiUrls = {
  courier: { rest: url, graphql: `${url}/client/q` },
  inbox: { graphql: url, webSocket: url },
};
const clientOf = (userId, more = {}) =>
  new CourierClient({ userId, jwt: process.env.COURIER_USER_TOKEN, apiUrls, showLogs: false, ...more });
const client = clientOf(userId);
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

const { preferences } = client;
assert.deepEqual(await preferences.getUserPreferences(), { items: [], paging: { cursor: undefined, more: false } });
const unset = await preferences.getUserPreferenceTopic({ topicId: "orders" });
assert.deepEqual([unset.topicId, unset.status, unset.defaultStatus], ["orders", "OPTED_IN", "OPTED_IN"]);

const choice = { status: "OPTED_OUT", hasCustomRouting: true, customRouting: ["email", "push"] };
const put = await preferences.putUserPreferenceTopic({ topicId: "orders", ...choice, digestSchedule: "weekly" });
const names = { topicId: "orders", topicName: "orders", sectionId: "default", sectionName: "Default" };
const topic = { ...names, ...choice, defaultStatus: "OPTED_IN", digestSchedule: "weekly" };
assert.deepEqual(put, topic);
assert.deepEqual(await preferences.getUserPreferenceTopic({ topicId: "orders" }), topic);
assert.deepEqual((await preferences.getUserPreferences()).items, [topic]);
const { body: stored } = await read(`/users/${userId}/preferences/orders`);
assert.deepEqual([stored.topic.status, stored.topic.custom_routing], ["OPTED_OUT", ["email", "push"]]);

const inTenant = clientOf(userId, { tenantId: "acme" }).preferences;
await inTenant.putUserPreferenceTopic({ topicId: "orders", status: "OPTED_IN", hasCustomRouting: false, customRouting: [] });
assert.equal((await inTenant.getUserPreferenceTopic({ topicId: "orders" })).status, "OPTED_IN");
assert.equal((await inTenant.getUserPreferences()).items[0].status, "OPTED_IN");
assert.equal((await preferences.getUserPreferenceTopic({ topicId: "orders" })).status, "OPTED_OUT");

// What the gateway does not have.
assert.equal(await preferences.getPreferencePage({ brandId: "b" }), null);
assert.deepEqual(await preferences.getDigestSchedules({ topicId: "orders" }), []);
assert.equal(await client.brands.getBrand({ brandId: "b" }), null);

// The token is that of one user.
const another = clientOf("browser-8");
await assert.rejects(another.preferences.getUserPreferences(), { code: 403, type: "authorization_error" });
await assert.rejects(another.preferences.putUserPreferenceTopic({ topicId: "orders", ...choice }), { code: 403 });
await assert.rejects(another.tokens.putUserToken({ token: "t1", provider: "apn" }), { code: 403 });
await assert.rejects(another.lists.putSubscription({ listId: "news", clientKey: "public" }), { code: 403 });
assert.equal((await read("/profiles/browser-8")).status, 404);

// A page of another site may make these calls.
for (const [method, path] of [["PUT", `/users/${userId}/tokens/t1`], ["POST", "/client/q"]]) {
  const asked = "authorization,content-type,x-courier-client-key,x-courier-ua,x-courier-user-id";
  const headers = { origin: "https://shop.example", "access-control-request-method": method };
  headers["access-control-request-headers"] = asked;
  const reply = await fetch(`${url}${path}`, { method: "OPTIONS", headers });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get("access-control-allow-origin"), "*");
  const allowed = reply.headers.get("access-control-allow-headers").split(/, */);
  assert.deepEqual(asked.split(",").filter((each) => !allowed.includes(each)), []);
}

console.log(
  "tokens.putUserToken tokens.deleteUserToken lists.putSubscription lists.deleteSubscription",
  "preferences.getUserPreferences preferences.getUserPreferenceTopic preferences.putUserPreferenceTopic",
  "preferences.getPreferencePage preferences.getDigestSchedules brands.getBrand",
);
