// Each output is a group of buttons that the bridge accepts in the same states.
const now = msg.payload;
const can = (now.reach === "all" && now.state && now.state.can) || {};
const groups = [can.start, can.pause, can.resume, can.cancel, can.move];
const before = context.get("before") || [];
context.set("before", groups.map(Boolean));
return groups.map((on, i) => (Boolean(on) === before[i] ? null : {enabled: Boolean(on)}));
