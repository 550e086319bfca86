// Every profile method of an official Klaviyo SDK for Node, unchanged, against a running gateway.
//
// klaviyo.py creates a node_modules with one generation of klaviyo-api (3.x or 23.x) and runs this program beside it. The
// program checks what a method returns and what it has changed, and prints the names of the methods that passed.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";

const { KLAVIYO_URL: host, KLAVIYO_KEY: key, KLAVIYO_COMPANY: company } = process.env;
const folder = new URL("./node_modules/klaviyo-api/", import.meta.url);
const manifest = JSON.parse(readFileSync(new URL("package.json", folder)));
const sdk = await import(new URL(manifest.module ?? manifest.main, folder));
const isOld = manifest.version.startsWith("3.");
const mark = randomBytes(6).toString("hex");
const done = new Set();

// Methods of the profiles' class that belong to the vendor's Conversations API, whose right they ask for.
const elsewhere = /^getConversation(Id)?s?ForProfile$/;

// --- the two generations as one ---

function older() {
  sdk.ConfigWrapper(key);
  sdk.ApiClient.instance.basePath = host;
  return { profiles: sdk.Profiles, client: sdk.Client, privacy: sdk.DataPrivacy };
}

function newer() {
  const session = new sdk.ApiKeySession(key);
  const apis = { profiles: new sdk.ProfilesApi(session), privacy: new sdk.DataPrivacyApi(session) };
  Object.assign(apis, { events: new sdk.EventsApi(session), lists: new sdk.ListsApi(session) });
  for (const api of Object.values(apis)) api.basePath = host;
  return apis;
}

const { profiles, client, privacy, events, lists } = isOld ? older() : newer();

async function call(api, name, ...given) {
  const { body } = await api[name](...given);
  done.add(name);
  return body;
}

const update = (id, body) => call(profiles, "updateProfile", ...(isOld ? [body, id] : [id, body]));

async function refused(status, act) {
  const error = await act().then(() => assert.fail(`${status} was expected`), (reason) => reason);
  assert.equal(error.status ?? error.response?.status, status, String(error));
  return error.response?.data?.errors?.[0] ?? error.response?.body?.errors?.[0];
}

// --- bodies: the newer generation writes names in camel case, and snake case on the wire ---

const snake = (name) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const convertNames = (members) =>
  isOld ? Object.fromEntries(Object.entries(members).map(([name, value]) => [snake(name), value])) : members;
const body = (type, attributes, more = {}) => ({ data: { type, attributes: convertNames(attributes), ...more } });
const attribute = (resource, name) => resource.attributes[isOld ? snake(name) : name];
const mail = (name) => `${name}.${mark}@example.com`;

// --- conversations ---

const properties = { plan: "gold", size: { shoe: 41 } };

async function basics() {
  const location = { city: "Boston", latitude: "42.3601", longitude: 71.0589 };

  const made = await call(profiles, "createProfile", body("profile", { email: mail("ann"), firstName: "Ann", location, properties }));
  const { id } = made.data;
  assert.equal(attribute(made.data, "firstName"), "Ann");
  assert.equal(made.data.attributes.location.city, "Boston");
  assert.deepEqual(made.data.attributes.properties, properties);
  const duplicate = await refused(409, () => profiles.createProfile(body("profile", { email: mail("ANN") })));
  assert.equal(duplicate.meta.duplicate_profile_id, id);

  const updated = await update(id, body("profile", { lastName: "Stone" }, { id }));
  assert.equal(attribute(updated.data, "lastName"), "Stone");
  const found = await call(profiles, "getProfile", id, {});
  assert.equal(found.data.attributes.email, mail("ann"));
  const sparse = await call(profiles, "getProfile", id, { fieldsProfile: ["email", "last_name"] });
  assert.equal(sparse.data.attributes.email, mail("ann"));
  assert.ok(isOld || sparse.data.attributes.firstName === undefined);
  await call(profiles, "getProfile", id, { additionalFieldsProfile: ["predictive_analytics"] });
  assert.equal((await refused(404, () => profiles.getProfile("nobody", {}))).code, "not_found");
  return id;
}

async function listing(id) {
  const filtered = await call(profiles, "getProfiles", { filter: `equals(email,"${mail("ann")}")` });
  assert.deepEqual(filtered.data.map((each) => each.id), [id]);
  const seen = [];
  let page = await call(profiles, "getProfiles", { pageSize: 2, sort: "-created", fieldsProfile: ["email", "created"] });
  for (;;) {
    seen.push(...page.data.map((each) => each.id));
    if (!page.links.next) break;
    page = await call(profiles, "getProfiles", { pageSize: 2, sort: "-created", pageCursor: page.links.next });
  }
  assert.ok(seen.includes(id));
  assert.equal(seen.length, new Set(seen).size);
}

async function related(id) {
  const newer = ["getListsForProfile", "getListIdsForProfile", "getSegmentsForProfile", "getSegmentIdsForProfile"];
  const older = ["getProfileLists", "getProfileRelationshipsLists", "getProfileSegments", "getProfileRelationshipsSegments"];
  for (const name of isOld ? older : newer) {
    assert.deepEqual((await call(profiles, name, id, {})).data, []);
  }
}

async function imports(id) {
  const answer = await call(profiles, "createOrUpdateProfile", body("profile", { email: mail("ann"), title: "Dr" }));
  assert.deepEqual([answer.data.id, answer.data.attributes.title], [id, "Dr"]);
  // `unset` is left out: the SDK itself fails on it while it writes the request.
  const meta = { patchProperties: { append: { skus: "1" } } };
  await call(profiles, "createOrUpdateProfile", body("profile", { email: mail("ann") }, { meta }));
  const found = await call(profiles, "getProfile", id, {});
  assert.deepEqual(found.data.attributes.properties, { ...properties, skus: ["1"] });
}

async function jobs() {
  const rows = ["one", "two"].map((name) => body("profile", { email: mail(name) }).data);
  const data = [...rows, body("profile", { email: "nobody" }).data];
  const made = (await call(profiles, "bulkImportProfiles", body("profile-bulk-import-job", { profiles: { data } }))).data;
  const { totalCount, completedCount, failedCount } = made.attributes;
  assert.deepEqual([totalCount, completedCount, failedCount], [3, 2, 1]);
  assert.equal((await call(profiles, "getBulkImportProfilesJob", made.id)).data.attributes.status, "complete");
  const listed = await call(profiles, "getBulkImportProfilesJobs", { filter: 'equals(status,"complete")', pageSize: 5 });
  assert.ok(listed.data.some((each) => each.id === made.id));
  const [error] = (await call(profiles, "getErrorsForBulkImportProfilesJob", made.id)).data;
  assert.equal(error.attributes.source.pointer, "/data/attributes/profiles/data/2/attributes/email");
  const kept = (await call(profiles, "getProfilesForBulkImportProfilesJob", made.id)).data;
  const ids = (await call(profiles, "getProfileIdsForBulkImportProfilesJob", made.id)).data;
  assert.deepEqual(kept.map((each) => each.id), ids.map((each) => each.id).sort());
  assert.deepEqual((await call(profiles, "getListForBulkImportProfilesJob", made.id)).data, []);
  assert.deepEqual((await call(profiles, "getListIdsForBulkImportProfilesJob", made.id)).data, []);
}

async function consent() {
  const email = mail("consent");
  for (const [name, kind, consent] of [["bulkSubscribeProfiles", "create", "SUBSCRIBED"], ["bulkUnsubscribeProfiles", "delete", "UNSUBSCRIBED"]]) {
    const profile = { type: "profile", attributes: { email, subscriptions: { email: { marketing: { consent } } } } };
    await call(profiles, name, body(`profile-subscription-bulk-${kind}-job`, { profiles: { data: [profile] } }));
    const found = await call(profiles, "getProfiles", { additionalFieldsProfile: ["subscriptions"], filter: `equals(email,"${email}")` });
    assert.equal(found.data[0].attributes.subscriptions.email.marketing.consent, consent);
  }
  for (const [verb, kind] of [["Suppress", "create"], ["Unsuppress", "delete"]]) {
    const job = body(`profile-suppression-bulk-${kind}-job`, { profiles: { data: [{ type: "profile", attributes: { email } }] } });
    const made = (await call(profiles, `bulk${verb}Profiles`, job)).data;
    assert.equal((await call(profiles, `getBulk${verb}ProfilesJob`, made.id)).data.attributes.completedCount, 1);
    const listed = await call(profiles, `getBulk${verb}ProfilesJobs`, {});
    assert.ok(listed.data.some((each) => each.id === made.id));
  }
}

async function push(id) {
  const token = `token-${mark}`;
  const profile = { data: { type: "profile", id, attributes: {} } };
  const attributes = { token, platform: "ios", vendor: "apns", deviceMetadata: { appId: "com.example.shop" }, profile };
  await call(profiles, "createPushToken", body("push-token", attributes));
  const [one] = (await call(profiles, "getPushTokensForProfile", id, {})).data;
  assert.deepEqual([one.attributes.token, one.attributes.metadata.appId], [token, "com.example.shop"]);
  const ids = (answer) => answer.data.map((each) => each.id);
  assert.deepEqual(ids(await call(profiles, "getPushTokenIdsForProfile", id)), [one.id]);
  assert.deepEqual(ids(await call(profiles, "getPushTokens", { filter: `equals(profile.id,"${id}")` })), [one.id]);
  assert.equal((await call(profiles, "getPushToken", one.id, {})).data.attributes.vendor, "apns");
  assert.equal((await call(profiles, "getProfileForPushToken", one.id, {})).data.id, id);
  assert.equal((await call(profiles, "getProfileIdForPushToken", one.id)).data.id, id);
  await call(profiles, "deletePushToken", one.id);
  await refused(404, () => profiles.getPushToken(one.id, {}));
}

async function olderConsent() {
  const email = mail("consent");
  const subscriptions = [{ channels: { email: ["MARKETING"] }, email }];
  const list = { list_id: "Y6nRLr" };
  await call(profiles, "subscribeProfiles", body("profile-subscription-bulk-create-job", { ...list, subscriptions }));
  await call(profiles, "unsubscribeProfiles", body("profile-unsubscription-bulk-create-job", { ...list, emails: [email] }));
  for (const verb of ["suppress", "unsuppress"]) {
    const job = body(`profile-${verb}ion-bulk-create-job`, { suppressions: [{ email }] });
    await call(profiles, `${verb}Profiles`, job);
  }
}

async function merge(id) {
  const source = (await call(profiles, "createProfile", body("profile", { externalId: `source-${mark}` }))).data.id;
  const relationships = { profiles: { data: [{ type: "profile", id: source }] } };
  const merged = await call(profiles, "mergeProfiles", { data: { type: "profile-merge", id, relationships } });
  assert.equal(merged.data.id, id);
  assert.equal((await call(profiles, "getProfile", id)).data.attributes.externalId, `source-${mark}`);
}

async function browser() {
  await call(client, "createClientProfile", body("profile", { email: mail("bo"), firstName: "Bo" }), company);
  const found = await call(profiles, "getProfiles", { filter: `equals(email,"${mail("bo")}")` });
  assert.equal(attribute(found.data[0], "firstName"), "Bo");
}

async function eventsAndLists(id) {
  const metric = { data: { type: "metric", attributes: { name: "Viewed" } } };
  const profile = { data: { type: "profile", attributes: { email: mail("event"), firstName: "Eve" } } };
  await call(events, "createEvent", body("event", { properties: { item: "A-1" }, metric, profile }));
  const found = await call(profiles, "getProfiles", { filter: `equals(email,"${mail("event")}")` });
  assert.equal(found.data[0].attributes.firstName, "Eve");
  assert.ok(found.data[0].attributes.lastEventDate);
  assert.deepEqual((await call(events, "getEvents", {})).data, []);

  const members = { data: [{ type: "profile", id }] };
  await call(lists, "addProfilesToList", mark, members);
  assert.deepEqual((await call(lists, "getProfilesForList", mark, {})).data.map((each) => each.id), [id]);
  assert.deepEqual((await call(lists, "getProfileIdsForList", mark, {})).data.map((each) => each.id), [id]);
  assert.equal((await call(lists, "getList", mark, {})).data.id, mark);
  await call(lists, "getLists", {});
  await call(lists, "removeProfilesFromList", mark, members);
  await refused(404, () => lists.getList(mark, {}));
}

async function deletion(id) {
  const profile = { data: { type: "profile", id, attributes: {} } };
  const attributes = isOld ? { profile_id: id } : { profile };
  await call(privacy, "requestProfileDeletion", { data: { type: "data-privacy-deletion-job", attributes } });
  await refused(404, () => profiles.getProfile(id, {}));
}

// --- all of them, and none left out ---

function own(api) {
  const names = [...Object.getOwnPropertyNames(Object.getPrototypeOf(api)), ...Object.keys(api)];
  const methods = names.filter((name) => typeof api[name] === "function" && /^(get|create|update|bulk|merge|delete|(un)?s(ubscribe|uppress))/.test(name));
  // The deprecated names are the same functions under another name.
  return new Map(methods.map((name) => [api[name], name]).reverse()).values();
}

const id = await basics();
await listing(id);
await related(id);
if (!isOld) {
  await imports(id);
  await jobs();
  await merge(id);
  await consent();
  await push(id);
  await eventsAndLists(id);
} else {
  await olderConsent();
  await browser();
}
await deletion(id);
const leftOut = [...own(profiles)].filter((name) => !done.has(name) && !elsewhere.test(name));
assert.deepEqual(leftOut, []);
console.log([...done].join("\n"));
