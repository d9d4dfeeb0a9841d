import { retryAt } from './attempt.ts';
import { deadlinesOf } from './deadlines.ts';
import { withoutEffectText } from './effect.ts';
import { type Desired, fillOf } from './plan.ts';
import type { Fault, Observed } from './platform.ts';
import type { QueueFacts } from './queuecontrol.ts';
import type { Settings } from './settings.ts';
import { isBorn, isQueueReady, provisionAt, readyGateways, sealOf } from './stage.ts';

/** What a condition is judged from. */
export interface Facts {
  readonly observed: Observed;
  readonly queue: QueueFacts;
  readonly desired: Desired;
  /** ms since 1970, the operator's clock. */
  readonly now: number;
  readonly settings: Settings;
}

/** A condition before it gets its times. The message says what is waited for and what to do. */
export interface Verdict {
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
const told = (fault: Fault): string => `${fault.message}. What to do: ${fault.remedy}`;

/** One function a condition, each from observed facts only. */
export const conditions = {
  Accepted: accepted,
  QueueReady: queueReady,
  GatewayReady: gatewayReady,
  Ready: ready,
  Sealed: sealed,
  Exported: exported,
  Verified: verified,
  Degraded: degraded,
  Paused: paused,
} as const satisfies Record<string, (facts: Facts) => Verdict>;

export type ConditionType = keyof typeof conditions;

/** The session as it was last edited is in force. */
function accepted({ observed }: Facts): Verdict {
  if (observed.editFault === null) {
    const unheeded = observed.place === 'machine' ? withoutEffectText(observed.session.spec) : null;
    return yes('Valid', ['The session is in force as it stands.', ...(unheeded === null ? [] : [unheeded])].join(' '));
  }
  return no('Invalid', `The last edit is not in force, the one before it still is: ${told(observed.editFault)}`);
}

/** Every shard can take answers. */
function queueReady(facts: Facts): Verdict {
  const { observed, queue, desired } = facts;
  if (desired.stage === 'Done') return no('Released', 'The session is over; the queue is stopped, its files are kept.');
  if (desired.stage === 'Wait') return no('Waiting', waiting(facts));
  const faults = queueFaults(facts);
  if (faults.length > 0) return no(faults[0]!.code, [...faults.map(told), ...givingUp(facts)].join(' '));
  if (!isBorn(observed)) {
    const born = observed.identity.shards.filter((shard) => shard.born).length;
    return no('Starting', `Waiting for Redis to start: ${born} of ${desired.shards.count} shards are initialised.`);
  }
  if (isQueueReady(observed, queue))
    return yes('AllShards', `${queue.shards.length} of ${queue.shards.length} shards take answers.`);
  const missing = queue.shards.filter((shard) => shard.phase !== 'ready').map((shard) => shard.shard);
  return no(
    'ShardsMissing',
    `Waiting for shard ${missing.join(', ')}: it is started again and loads its file (up to ${desired.capacity.redis.reloadSeconds} s). Nothing is lost, and its students' devices keep and repeat their answers.`,
  );
}

/** How an admin gives up a shard whose data is gone, while devices can still fill it again. */
function givingUp({ observed, queue }: Facts): string[] {
  if (sealOf(observed) !== null) return [];
  return queue.shards.flatMap(({ shard, phase, fault }) => {
    const birth = observed.identity.shards[shard];
    const isGone = phase === 'lost' || (phase === 'refused' && fault?.code === 'shard_foreign');
    if (!isGone || birth?.born !== true) return [];
    return [
      `If its data is gone for good, add {shard: ${shard}, incarnation: ${birth.incarnation}} to spec.redis.refill: the shard is made anew, and students' devices fill it again.`,
    ];
  });
}

/** As many gateways as planned take students' connections. */
function gatewayReady(facts: Facts): Verdict {
  const { observed, desired } = facts;
  const { replicas, mode } = desired.gateways;
  if (desired.stage === 'Wait') return no('Waiting', waiting(facts));
  if (replicas === 0 && desired.stage === 'Done') return no('Released', 'The session is over; no gateway runs.');
  if (replicas === 0) return no('QueueFirst', 'Gateways start when every shard is initialised.');
  const ready = observed.gateways.filter((gateway) => gateway.ready && gateway.mode === mode).length;
  const what = mode === 'serve' ? 'take answers' : 'tell what is saved';
  if (ready >= replicas) return yes('AllReady', `${ready} of ${replicas} gateways ${what}.`);
  const fault = observed.gateways.find((gateway) => gateway.fault !== null)?.fault ?? null;
  if (fault !== null) return no(fault.code, told(fault));
  return no('Starting', `${ready} of ${replicas} gateways ${what}; the others are being started.`);
}

/** Students can answer now. */
function ready(facts: Facts): Verdict {
  const { observed, queue, desired } = facts;
  if (desired.stage === 'Wait') return no('Waiting', waiting(facts));
  if (desired.stage !== 'Serve' && desired.stage !== 'Provision') {
    return no('Over', 'The exam is over: no more answers are taken, or none soon.');
  }
  if (!isQueueReady(observed, queue)) return no('QueueNotReady', queueReady(facts).message);
  if (readyGateways(observed) === 0) return no('GatewayNotReady', gatewayReady(facts).message);
  return yes('Open', `Students can answer${observed.url === null ? '' : ` at ${observed.url}`}.`);
}

/** Nothing can be appended any more, and what is there has witnesses and a root. */
function sealed(facts: Facts): Verdict {
  const { observed, queue, desired } = facts;
  const seal = sealOf(observed);
  if (seal !== null) return yes('Sealed', `Every shard is sealed; the session's root is ${seal.root}.`);
  if (desired.stage === 'Seal' || desired.sealing !== null) {
    const missing = queue.shards.filter((shard) => shard.phase !== 'ready').map((shard) => shard.shard);
    const text = missing.length === 0 ? '' : ` Waiting for shard ${missing.join(', ')} to be back.`;
    return no('Sealing', `Sealing has begun and cannot be taken back.${text}`);
  }
  if (desired.stage === 'Drain') return no('Draining', draining(facts));
  const hint =
    observed.session.spec.autoFinalize && desired.stage === 'Serve'
      ? `Finalizes by itself at ${iso(deadlinesOf(observed.session.spec, observed.roster).last)}.`
      : 'Set spec.phase to Finalizing when the exam is over.';
  return no('Open', hint);
}

function draining({ observed, queue, desired }: Facts): string {
  if (desired.drainUntil === null) return 'Waiting for the shards, whose clocks say when the grace is over.';
  const { last } = deadlinesOf(observed.session.spec, observed.roster);
  const early = last !== null && queue.now !== null && last > queue.now;
  const warning = early ? ` Some students would have had time until ${iso(last)}.` : '';
  return `Clients were told; answers on their way are taken until ${iso(desired.drainUntil)}, then every shard is sealed.${warning} Until then spec.phase: Active takes it back.`;
}

/** The answers are in the table. */
function exported(facts: Facts): Verdict {
  const { observed, desired, settings } = facts;
  const { attempt } = observed;
  if (attempt?.state === 'succeeded') {
    return yes('Published', `${attempt.result?.rows ?? 0} rows are in the table, by attempt ${attempt.plan.attempt}.`);
  }
  if (desired.stage !== 'Export') return no('NotSealed', 'The export begins when every shard is sealed.');
  if (attempt === null) return no('Starting', 'The first attempt begins.');
  const { attempt: number } = attempt.plan;
  if (attempt.state === 'running' && attempt.fault !== null) {
    return no(attempt.fault.code, `Attempt ${number} is held up: ${told(attempt.fault)}`);
  }
  if (attempt.state === 'running') {
    const of = attempt.total > 0 ? ` of ${attempt.total}` : '';
    return no('Running', `Attempt ${number}: ${attempt.step}, ${attempt.rows}${of} rows.`);
  }
  const cause = attempt.fault === null ? 'it ended without a word' : told(attempt.fault);
  const again = `Attempt ${number + 1} begins at ${iso(retryAt(attempt, settings))}`;
  return attempt.state === 'blocked'
    ? no('Blocked', `Attempt ${number}: ${cause}. The queue is kept. ${again}, and at once when the session is edited.`)
    : no('Failed', `Attempt ${number}: ${cause}. The queue is kept. ${again}.`);
}

/** The rows were read back, every chain was recomputed, and the root is the sealed one. */
function verified({ observed }: Facts): Verdict {
  const { attempt } = observed;
  if (attempt?.state === 'succeeded') {
    return yes(
      'RootEqual',
      `Every answer is in the table exactly once and in order: root ${attempt.result?.root ?? ''}.`,
    );
  }
  return no('NotYet', 'Comes after the export: the rows are read back and compared with the sealed queue.');
}

/** Something needs a person's eye, though the session goes on. */
function degraded(facts: Facts): Verdict {
  const { observed, queue, desired } = facts;
  if (desired.stage === 'Done' || desired.stage === 'Wait') return no('AsPlanned', 'Nothing runs that could be.');
  const faults = [...queueFaults(facts), ...observed.gateways.flatMap(({ fault }) => (fault === null ? [] : [fault]))];
  if (faults.length > 0) return yes(faults[0]!.code, faults.map(told).join(' '));
  const full = queue.shards.filter((shard) => desired.queue?.full.has(shard.shard));
  if (full.length > 0) {
    const list = full
      .map((shard) => `shard ${shard.shard} at ${Math.round(fillOf(shard, observed) * 100)} %`)
      .join(', ');
    return yes(
      'Full',
      `New answers are refused before Redis itself fails: ${list} of its memory or disk. What to do: free or add disk space, or raise spec.answers so that the shards get more memory. Clients keep and repeat their answers.`,
    );
  }
  const small = desired.stage === 'Provision' || desired.stage === 'Serve' ? smallDisk(observed, desired) : null;
  return small ?? no('AsPlanned', 'Everything is as planned.');
}

/** The operator only looks. */
function paused({ observed }: Facts): Verdict {
  if (!observed.paused) return no('Running', 'The operator does what the session needs.');
  return yes(
    'Asked',
    'The operator only looks: what runs goes on, but nothing is started, restarted, sealed or exported. What to do: remove the annotation untradex.io/paused when it is to go on.',
  );
}

function smallDisk(observed: Observed, desired: Desired): Verdict | null {
  const small = observed.shards.find(
    ({ storage }) => storage !== null && storage.capacityBytes < desired.shards.storageBytes,
  );
  if (small?.storage == null) return null;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  return yes(
    'DiskSmall',
    `There are ${gigabytes(small.storage.capacityBytes)} for the append-only file of shard ${small.shard}; the plan asks for ${gigabytes(desired.shards.storageBytes)}. What to do: free disk space before the exam, or lower spec.answers if it says too much.`,
  );
}

/** What keeps a shard from working until a person does something. */
export function queueFaults({ observed, queue }: Facts): Fault[] {
  return [
    ...queue.shards.flatMap(({ phase, fault }) =>
      fault !== null && (phase === 'refused' || phase === 'lost' || phase === 'broken') ? [fault] : [],
    ),
    ...observed.shards.flatMap(({ fault }) => (fault === null ? [] : [fault])),
  ];
}

function waiting({ observed }: Facts): string {
  return `Provisioning begins at ${iso(provisionAt(observed.session))}, ${observed.session.spec.provisionLeadMinutes} minutes before spec.opensAt.`;
}

function iso(time: number | null): string {
  return time === null ? 'no time' : new Date(time).toISOString();
}
