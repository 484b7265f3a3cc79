// A gap where nothing is known, and steps where a target changes.
const all = msg.payload.temperature || {};
const names = {bed: "Bed", chamber: "Chamber"};
if (!("tool1" in all)) names.tool0 = "Nozzle";
const title = (heater) => names[heater] || "Nozzle " + (Number(heater.slice(4)) + 1);
const x = Date.now();
const seen = JSON.stringify(all);
if (seen === context.get("seen")) return null; // something else has changed
context.set("seen", seen);
const last = context.get("last") || {};
const points = [];
const draw = (series, y, step) => {
    const before = last[series];
    const known = before && before.y !== null;
    if (y === null && (!before || before.y === null)) return;
    if (step && known && y !== null && before.y !== y) points.push({series, x, y: before.y});
    points.push({series, x, y});
    last[series] = {x, y};
};
const heaters = Object.entries(all).filter(
    ([, it]) => it && typeof it === "object" && "target" in it);
for (const [heater, {actual, target}] of heaters) {
    draw(title(heater), actual, false);
    draw(title(heater) + " target", target, true);
}
if (!heaters.length) Object.keys(last).forEach((series) => draw(series, null, false));
context.set("last", last);
if (!points.length) return null;
const dashed = Object.keys(last).filter((name) => name.endsWith(" target")).map(
    (name) => ({name, lineStyle: {type: "dashed"}}));
return {
    payload: points,
    ui_update: {chartOptions: {series: dashed, grid: {containLabel: true, bottom: 8, left: 44}}},
};
