import { scaleLinear, scaleUtc } from 'd3-scale';
import { area, curveLinear, curveStepAfter, line } from 'd3-shape';
import { short } from './figures.ts';
import { html, type Markup, trusted } from './html.ts';

/** x is ms: since 1970 on an axis of time, since the beginning on one of duration. */
export type PlotPoint = readonly [x: number, y: number];

export interface PlotSeries {
  readonly name: string;
  /** By x. */
  readonly points: readonly PlotPoint[];
}

export interface Plot {
  /** Of this page, for its labels. */
  readonly id: string;
  readonly title: string;
  /** What is said below it, and to whoever cannot see it. */
  readonly summary: string;
  readonly x: 'time' | 'duration';
  /** Unit of y, for the table. */
  readonly unit: string;
  /** `steps` holds a value until the next one. */
  readonly shape: 'steps' | 'line';
  /** Fills what is below a single series. */
  readonly filled: boolean;
  readonly series: readonly PlotSeries[];
}

/** Series that get a colour and a name of their own; more of them share one. */
export const mostNamedSeries = 8;

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  readonly xTicks: number;
}

/** The same plot is drawn for wide and for narrow places, and the style sheet shows one: text must not shrink. */
export const frames = {
  wide: { width: 760, height: 240, left: 46, right: 32, top: 10, bottom: 26, xTicks: 8 },
  narrow: { width: 340, height: 210, left: 40, right: 30, top: 10, bottom: 26, xTicks: 4 },
} as const satisfies Record<string, Frame>;

/** The drawing of a plot that has at least one point. `name` and `words` are ids of what describes it. */
export function drawPlot(plot: Plot, frame: Frame, place: string, name: string, words: string): Markup {
  const { width, height, left, right, top, bottom } = frame;
  const all = plot.series.flatMap(({ points }) => points);
  const [from, to] = [least(all.map(([x]) => x)), greatest(all.map(([x]) => x))];
  const domain = [from, Math.max(to, from + 1_000)];
  const range = [left, width - right];
  const x = plot.x === 'time' ? scaleUtc(domain, range) : scaleLinear(domain, range);
  const highest = Math.max(1, greatest(all.map(([, y]) => y)));
  const y = scaleLinear([0, highest], [height - bottom, top]).nice(4);
  const curve = plot.shape === 'steps' ? curveStepAfter : curveLinear;
  const across = ([at]: PlotPoint) => x(at);
  const up = ([, value]: PlotPoint) => y(value);
  const path = line<PlotPoint>(across, up).curve(curve).digits(1);
  const below = area<PlotPoint>(across, y(0), up).curve(curve).digits(1);
  const many = plot.series.length > mostNamedSeries;
  const lines = plot.series.map(({ points }, index) => {
    const colour = many ? 's0 thin' : `s${index}`;
    const fill =
      plot.filled && plot.series.length === 1 ? html`<path class="fill ${colour}" d="${below(points)}"/>` : null;
    return html`${fill}<path class="curve ${colour}" d="${path(points)}"/>`;
  });
  return html`<svg class="${place}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="${name}" aria-describedby="${words}">
${y.ticks(4).map((tick) => yTick(round(y(tick)), short(tick), frame))}
${xTicks(plot, x, frame)}
${lines}
</svg>`;
}

function yTick(at: number, label: string, { width, left, right }: Frame): Markup {
  return html`<path class="grid" d="M${left},${at}H${width - right}"/><text x="${left - 6}" y="${at}" dy="0.32em" text-anchor="end">${label}</text>`;
}

interface AxisScale {
  (value: number): number;
  ticks(count: number): readonly (number | Date)[];
}

/** Of a label, at the most. */
const characterWidth = 7;
const labelGap = 8;

function xTicks({ x: kind }: Plot, scale: unknown, frame: Frame): Markup[] {
  const { width, left, right, height, bottom, xTicks: wanted } = frame;
  const axis = scale as AxisScale;
  const ticks = axis.ticks(wanted).map(Number);
  const step = (ticks[1] ?? 0) - (ticks[0] ?? 0);
  const baseline = height - bottom;
  const labels = ticks.map((tick) => (kind === 'time' ? timeLabel(tick, step) : `${tick / 1_000} s`));
  const longest = Math.max(...labels.map(({ length }) => length)) * characterWidth + labelGap;
  // More ticks may come than were wished for: then each second, third, ... has a label.
  const every = Math.ceil((ticks.length * longest) / (width - left - right + longest));
  return ticks.map((tick, index) => {
    const at = round(axis(tick));
    const label = index % every === 0 ? labels[index]! : '';
    return html`<path class="tick" d="M${at},${baseline}v4"/><text x="${at}" y="${baseline + 17}" text-anchor="middle">${label}</text>`;
  });
}

const day = 86_400_000;

function timeLabel(at: number, step: number): string {
  const text = new Date(at).toISOString();
  if (step >= day) return text.slice(5, 10);
  return step < 60_000 && step > 0 ? text.slice(11, 19) : text.slice(11, 16);
}

/** Not `Math.max(...)`: there may be more points than a call takes arguments. */
function greatest(values: readonly number[]): number {
  return values.reduce((most, value) => Math.max(most, value), Number.NEGATIVE_INFINITY);
}

function least(values: readonly number[]): number {
  return values.reduce((fewest, value) => Math.min(fewest, value), Number.POSITIVE_INFINITY);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

/** The legend's sign of a series. */
export function swatch(index: number): Markup {
  return trusted(
    `<svg class="swatch" viewBox="0 0 16 4" aria-hidden="true"><path class="curve s${index}" d="M0,2H16"/></svg>`,
  );
}
