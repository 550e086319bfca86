// npm @trycourier/courier 7.x: call every profile method and print its name.
import assert from "node:assert/strict";
import Courier from "@trycourier/courier";

const client = new Courier({ apiKey: process.env.COURIER_KEY, baseURL: `${process.env.COURIER_URL}/` });
const { profiles } = client;
const id = "node7/a b%2Fc";
const success = { status: "SUCCESS" };

assert.deepEqual(await profiles.create(id, { profile: { email: "a@example.com", slack: { channel: "C1" } } }), success);
await profiles.create(id, { profile: { phone_number: "555-555-5555", slack: { access_token: "x" } } });
assert.deepEqual(await profiles.retrieve(id), {
  profile: { email: "a@example.com", phone_number: "555-555-5555", slack: { channel: "C1", access_token: "x" } },
  preferences: { categories: {}, notifications: {} },
});
assert.deepEqual(await profiles.replace(id, { profile: { name: "A", custom: { n: [1, null] } } }), success);
await profiles.update(id, { patch: [{ op: "replace", path: "/name", value: "B" }] });
assert.deepEqual((await profiles.retrieve(id)).profile, { name: "B", custom: { n: [1, null] } });

const preferences = { categories: { c: { status: "OPTED_OUT" } } };
const lists = { lists: [{ listId: "example.news", preferences }, { listId: "17" }] };
assert.deepEqual(await profiles.lists.subscribe(id, lists), success);
const page = await profiles.lists.retrieve(id, { cursor: "" });
assert.deepEqual(page.results.map((one) => one.id), ["17", "example.news"]);
assert.deepEqual(page.results[1].preferences, preferences);
assert.deepEqual(await profiles.lists.delete(id), success);
assert.deepEqual((await profiles.lists.retrieve(id)).results, []);

const { tokens, preferences: topics, tenants } = client.users;
await tokens.addSingle("t/1", { user_id: id, provider_key: "apn", device: { platform: "ios", app_id: "shop" }, expiry_date: false });
await tokens.addMultiple(id, { body: { tokens: [{ token: "t2", provider_key: "firebase-fcm" }] } });
assert.deepEqual((await tokens.list(id)).tokens.map((each) => each.token).sort(), ["t/1", "t2"]);
await tokens.update("t/1", { user_id: id, patch: [{ op: "replace", path: "/status", value: "revoked" }] });
assert.equal((await tokens.retrieve("t/1", { user_id: id })).status, "revoked");
await tokens.delete("t/1", { user_id: id });
await assert.rejects(tokens.retrieve("t/1", { user_id: id }), Courier.NotFoundError);

const topic = { status: "OPTED_OUT", has_custom_routing: true, custom_routing: ["email"] };
await topics.updateOrCreateTopic("news", { user_id: id, topic });
assert.equal((await topics.retrieveTopic("news", { user_id: id })).topic.status, "OPTED_OUT");
assert.deepEqual((await topics.retrieve(id)).items.map((each) => each.topic_id), ["news"]);

await tenants.addSingle("acme.node7", { user_id: id, profile: { title: "Dr" } });
await tenants.addMultiple(id, { tenants: [{ tenant_id: "beta.node7" }] });
assert.deepEqual((await tenants.list(id)).items.map((each) => each.tenant_id), ["acme.node7", "beta.node7"]);
await tenants.removeSingle("acme.node7", { user_id: id });
await tenants.removeAll(id);
assert.deepEqual((await tenants.list(id)).items, []);

const { subscriptions } = client.lists;
await subscriptions.subscribeUser(id, { list_id: "node7.list" });
await subscriptions.add("node7.list", { recipients: [{ recipientId: `${id} 2` }] });
assert.deepEqual((await subscriptions.list("node7.list")).items.map((each) => each.recipientId).sort(), [id, `${id} 2`]);
assert.equal((await client.lists.retrieve("node7.list")).id, "node7.list");
for (const each of [id, `${id} 2`]) await subscriptions.unsubscribeUser(each, { list_id: "node7.list" });
await assert.rejects(client.lists.retrieve("node7.list"), Courier.NotFoundError);

const { lists: vips } = client;
await vips.update("node7.vip", { name: "VIP", preferences: { notifications: {} } });
await subscriptions.subscribeUser(id, { list_id: "node7.vip" });
await vips.delete("node7.vip");
await assert.rejects(vips.retrieve("node7.vip"), Courier.NotFoundError);
await assert.rejects(subscriptions.subscribeUser("another", { list_id: "node7.vip" }), Courier.ConflictError);
await vips.restore("node7.vip");
await vips.restore("node7.vip", {});
assert.deepEqual((await vips.list()).items.map((each) => [each.id, each.name]), [["node7.vip", "VIP"]]);
assert.deepEqual((await subscriptions.list("node7.vip")).items.map((each) => each.recipientId), [id]);
await vips.delete("node7.vip");

const once = { headers: { "Idempotency-Key": id.replaceAll(/\W/g, "-") } };
await profiles.create(id, { profile: { name: "once" } }, once);
await profiles.create(id, { profile: { name: "once" } }, once);
await assert.rejects(profiles.create(id, { profile: { name: "twice" } }, once), Courier.ConflictError);
await assert.rejects(profiles.update(id, { patch: [{ op: "remove", path: "/nowhere", value: "" }] }), Courier.BadRequestError);
await profiles.delete(id);
await profiles.delete(id);
await assert.rejects(profiles.retrieve(id), Courier.NotFoundError);

const methods = (resource) => Object.getOwnPropertyNames(Object.getPrototypeOf(resource)).filter((name) => name !== "constructor");
const called = ["create", "delete", "replace", "retrieve", "update"];
const listed = ["delete", "retrieve", "subscribe"];
assert.deepEqual(methods(profiles).sort(), called);
assert.deepEqual(methods(profiles.lists).sort(), listed);
const users = ["tokens", "tenants"].flatMap((name) => methods(client.users[name]).map((method) => `${name}.${method}`));
const others = ["preferences.retrieve", "preferences.retrieveTopic", "preferences.updateOrCreateTopic"];
const ofLists = ["list", "add", "subscribeUser", "unsubscribeUser"].map((name) => `subscriptions.${name}`);
others.push(...["list", "retrieve", "update", "delete", "restore"].map((name) => `client.lists.${name}`));
console.log([...called, ...listed.map((name) => `lists.${name}`), ...users, ...others, ...ofLists].join(" "));
