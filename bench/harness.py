"""What the comparisons with other engines share: worker processes that take turns, rounds, ratios, tables.

Where it stands: compare_encoders.py and compare_seq2seq.py are built on it; it knows neither models nor engines. The
protocol and what makes a comparison fair are in bench/README.md.

    class MyPeer(Peer): ...                      # in a process of its own: serve(MyPeer(directory, threads), tries)
    class MyComparison(Comparison): ...          # what is compared: workloads, bars, the check of the answers
    sys.exit(MyComparison(options, __file__, peers, dtype).run())
"""

import argparse
import ctypes
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

SEED = 20240607
FOREIGN_LIMIT = 0.10  # a round is disturbed when others used more than this share of our cores

ISA_FLAGS = ("avx2 fma f16c avx_vnni avx512f avx512bw avx512vl avx512vbmi avx512_vnni avx512_bf16 avx512_fp16 "
             "amx_tile amx_bf16 amx_int8 asimd asimddp sve").split()



class Peer:
    """One peer engine, in a worker process of its own. A subclass knows its settings and how to compute a workload.

    Settings are a dict; space(workload) gives for each the values to try, the first one being the start value.
    """

    def __init__(self, directory, threads, precision):
        self.directory, self.threads, self.precision = directory, threads, precision
        self.models, self.used = {}, set()

    def version(self):
        raise NotImplementedError

    def space(self, workload):
        raise NotImplementedError

    def prepare(self, workload, settings):
        """Gives (run, unpack, keys of the models used): run() computes the whole workload, unpack(result) its answer."""
        raise NotImplementedError

    def model(self, key, load):
        """Loads a model once; the ones of settings that lost are dropped by drop_except."""
        if key not in self.models:
            self.models[key] = load()
        self.used.add(key)
        return self.models[key]

    def drop_except(self, keys):
        self.models = {key: model for key, model in self.models.items() if key in keys}


def serve(peer, tries):
    """Speaks the protocol of bench/README.md, plus `tune`, `defaults` and `settings` for a workload.

    tries(workload) gives (runs of each candidate, unrecorded runs before each) of a search for the best settings.
    """
    # Libraries print what they like on stdout; the protocol keeps the real one for itself.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(text):
        out.write(text + "\n")
        out.flush()

    prepared = {}  # workload -> (run, unpack, keys of its models)

    def adopt(workload, settings):
        prepared[workload] = peer.prepare(workload, settings)
        peer.drop_except({key for entry in prepared.values() for key in entry[2]})

    def timed(run):
        start = time.monotonic()
        result = run()
        return time.monotonic() - start, result

    def tune(workload):
        """Greedy over the settings, one after the other; candidates of one setting interleave and keep their best."""
        space = peer.space(workload)
        settings = {key: values[0] for key, values in space.items()}
        log, best = [], None
        for key, values in space.items():
            if len(values) == 1 and best is not None:
                continue
            runs = {}
            for value in values:
                try:
                    runs[value] = peer.prepare(workload, {**settings, key: value})[0]
                    runs[value]()
                except Exception as error:  # a peer that cannot do one of its variants still has the others
                    runs.pop(value, None)
                    log.append({**settings, key: value, "error": str(error).splitlines()[0][:200]})
            if not runs:
                raise RuntimeError(log[-1]["error"])
            count, warm = tries(workload)
            seconds = {value: [] for value in runs}
            for _ in range(count):
                for value, run in runs.items():
                    for _ in range(warm):
                        run()
                    seconds[value].append(timed(run)[0])
            for value in runs:
                log.append({**settings, key: value, "seconds": min(seconds[value])})
            settings[key] = min(runs, key=lambda value: min(seconds[value]))
            best = min(seconds[settings[key]])
            peer.drop_except({k for entry in prepared.values() for k in entry[2]})
        return {"settings": settings, "seconds": best, "tried": log}

    say("ready " + json.dumps({"engine": peer.version()}))
    for line in sys.stdin:
        words = line.split(None, 2)
        try:
            if not words:
                continue
            if words[0] == "quit":
                break
            if words[0] == "run":
                seconds, result = timed(prepared[words[1]][0])
                del result
                say(f"time {seconds:.9f}")
            elif words[0] == "dump":
                run, unpack, _ = prepared[words[1]]
                rows = unpack(run())
                rows.tofile(words[2].strip())
                say(f"dumped {rows.size}")
            elif words[0] == "settings":
                adopt(words[1], json.loads(words[2]))
                say("ok")
            elif words[0] == "defaults":
                settings = {key: values[0] for key, values in peer.space(words[1].strip()).items()}
                adopt(words[1].strip(), settings)
                say("defaults " + json.dumps(settings))
            elif words[0] == "tune":
                say("tuned " + json.dumps(tune(words[1])))
            else:
                say(f"error unknown command {words[0]}")
        except Exception as error:
            say("error " + (f"{type(error).__name__}: {error}".splitlines()[0])[:300])


# ---------------------------------------------------------------------------------------------------------------
# The parent.


class WorkerError(Exception):
    pass


class Worker:
    """A persistent engine process. It is stopped except between ask() and the answer."""

    def __init__(self, name, command, cpus, threads, log):
        self.name, self.log = name, log
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads),
                           TCPP_NUM_THREADS=str(threads), HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false",
                           TORCHINDUCTOR_CACHE_DIR=str(log.parent / "inductor"))
        log.parent.mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None)

        def in_child():
            libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: a stopped worker must not outlive a killed parent
            os.sched_setaffinity(0, cpus)

        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(log, "w"),
                                        env=environment, text=True, bufsize=1,
                                        preexec_fn=in_child)
        self.about = json.loads(self.answer("ready"))
        self.stop()

    def stop(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)  # returns when all its threads have stopped

    def answer(self, expected):
        line = self.process.stdout.readline()
        if not line:
            raise WorkerError(f"{self.name} ended (exit status {self.process.wait()}); see {self.log}")
        word, _, rest = line.strip().partition(" ")
        if word != expected:
            raise WorkerError(f"{self.name}: {line.strip()}")
        return rest

    def ask(self, command, expected):
        os.kill(self.process.pid, signal.SIGCONT)
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            return self.answer(expected)
        finally:
            if self.process.poll() is None:
                self.stop()

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def sample(self, workload, repeats):
        warm, recorded = repeats
        times = [float(self.ask(f"run {workload}", "time")) for _ in range(warm + recorded)]
        return statistics.median(times[warm:])

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            try:
                self.process.stdin.write("quit\n")
                self.process.stdin.close()
                self.process.wait(timeout=20)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()


def busy_seconds(cpus):
    """Seconds the given cores were not idle since boot, time stolen by the hypervisor included."""
    total = 0
    for line in Path("/proc/stat").read_text().splitlines():
        fields = line.split()
        if fields[0].startswith("cpu") and fields[0][3:].isdigit() and int(fields[0][3:]) in cpus:
            user, nice, system, _idle, _iowait, irq, softirq, steal = (int(x) for x in fields[1:9])
            total += user + nice + system + irq + softirq + steal
    return total / os.sysconf("SC_CLK_TCK")


class Meter:
    """Share of the cores that processes other than the given workers use, from construction to share()."""

    def __init__(self, cpus, workers=()):
        self.cpus, self.workers = cpus, list(workers)
        self.wall, self.busy, self.own = time.monotonic(), busy_seconds(cpus), self.own_seconds()

    def own_seconds(self):
        times = os.times()
        return times.user + times.system + sum(worker.cpu_seconds() for worker in self.workers)

    def share(self):
        wall = max(1e-3, time.monotonic() - self.wall)
        return max(0.0, (busy_seconds(self.cpus) - self.busy - (self.own_seconds() - self.own)) / (wall * len(self.cpus)))


def wait_for_quiet(cpus, budget):
    """Waits while others use the cores; gives the seconds left of the budget."""
    start = time.monotonic()
    while time.monotonic() - start < budget:
        meter = Meter(cpus)
        time.sleep(0.3)
        if meter.share() < FOREIGN_LIMIT:
            break
    return budget - (time.monotonic() - start)


def machine():
    info = Path("/proc/cpuinfo").read_text().splitlines()
    values = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in reversed(info) if ":" in line}
    flags = set((values.get("flags") or values.get("Features") or "").split())
    uname = os.uname()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {"model": values.get("model name", uname.machine), "family": values.get("cpu family"),
            "model_number": values.get("model"), "logical_cpus": os.cpu_count(), "memory_gib": round(memory, 1),
            "isa": [flag for flag in ISA_FLAGS if flag in flags], "kernel": uname.sysname + " " + uname.release,
            "load_average": os.getloadavg()[0]}


def quartiles(values):
    if len(values) < 2:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def tuned_settings(worker, workloads, path, mode):
    """A peer's settings per workload, from the file `path` or found now."""
    if mode == "off":
        return {w: json.loads(worker.ask(f"defaults {w}", "defaults")) for w in workloads}
    known = json.loads(path.read_text()) if path.exists() and mode != "force" else {}
    for workload in workloads:
        if workload not in known:
            print(f"  {worker.name} {workload}: looking for its best settings", file=sys.stderr)
            known[workload] = json.loads(worker.ask(f"tune {workload}", "tuned"))
            known[workload]["load_average"] = os.getloadavg()[0]  # a search made on a busy machine is worth little
            path.write_text(json.dumps(known, indent=1) + "\n")
        worker.ask(f"settings {workload} {json.dumps(known[workload]['settings'])}", "ok")
    return {workload: known[workload]["settings"] for workload in workloads}


def measure(workers, workload, repeats, options, cpus):
    """Rounds of samples: [{'times': {engine: seconds}, 'foreign': share}]; disturbed rounds are repeated.

    `repeats` are (unrecorded, recorded) runs of one engine in one round; the sample is the median of the recorded ones.
    """
    kept, disturbed, budget, rounds = [], [], options.wait, options.rounds
    order = random.Random(SEED)
    while len(kept) < rounds and len(disturbed) < (2 * rounds if kept else rounds):
        budget = wait_for_quiet(cpus, budget)
        names = [worker.name for worker in workers]
        order.shuffle(names)
        by_name = {worker.name: worker for worker in workers}
        meter, times = Meter(cpus, workers), {}
        for name in names:
            times[name] = by_name[name].sample(workload, repeats)
        entry = {"times": times, "foreign": meter.share(), "order": names}
        (kept if entry["foreign"] < FOREIGN_LIMIT else disturbed).append(entry)
        if sys.stderr.isatty():
            print(f"\r  {workload}: {len(kept)} rounds ({len(disturbed)} disturbed)  ", end="", file=sys.stderr)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    enough = len(kept) >= min(15, rounds)
    return (kept if enough else kept + disturbed), len(disturbed), enough


def earlier_workloads(options):
    """What the file of --json says of the workloads, with --more: a long comparison can be made in short runs."""
    if not options.more or not options.json or not options.json.exists():
        return {}
    return json.loads(options.json.read_text())["workloads"]


def earlier_rounds(report, workload):
    """The rounds that a report has of a workload already, if all were quiet."""
    known = report["workloads"].get(workload)
    if known is None or not known["quiet"]:
        return []
    return [{"times": {name: engine["seconds"][i] for name, engine in known["engines"].items()},
             "foreign": known["foreign_share"]} for i in range(known["rounds"])]


def summarize(rounds, disturbed, quiet, work, ours, bars, peak=None):
    """What the rounds say. `work`: {'sentences': ..., 'tokens': ..., 'flops': ...} of one run; `bars`: the ratio to be
    reached against each peer, "fastest" standing for whichever is the fastest."""
    engines, ratios = {}, {}
    for name in rounds[0]["times"]:
        times = [entry["times"][name] for entry in rounds]
        middle = statistics.median(times)
        engines[name] = {"median_seconds": middle, "best_seconds": min(times),
                         "tokens_per_second": work["tokens"] / middle,
                         "sentences_per_second": work["sentences"] / middle, "seconds": times}
        if work.get("flops"):
            engines[name]["gflops"] = work["flops"] / middle / 1e9
            engines[name]["share_of_peak"] = engines[name]["gflops"] / peak if peak else None
    for name in engines:
        if ours and name != ours:
            values = [entry["times"][name] / entry["times"][ours] for entry in rounds]
            low, middle, high = quartiles(values)
            ratios[name] = {"median": middle, "lower_quartile": low, "upper_quartile": high, "values": values}
    peers = [name for name in engines if name != ours]
    fastest = min(peers, key=lambda name: engines[name]["median_seconds"]) if peers else None
    verdicts = []
    for against, bar in bars.items() if ratios else ():
        peer = fastest if against == "fastest" else against
        if peer in ratios:
            verdicts.append({"against": peer, "bar": bar, "counts": quiet and len(rounds) >= 15,
                             "pass": ratios[peer]["median"] >= bar and ratios[peer]["lower_quartile"] >= 0.97 * bar})
    return {**work, "rounds": len(rounds), "disturbed_rounds": disturbed, "quiet": quiet,
            "foreign_share": statistics.median(entry["foreign"] for entry in rounds),
            "engines": engines, "ratios": ratios, "fastest_peer": fastest, "verdicts": verdicts}


def print_workload(workload, about, result, ours):
    note = f"{result['rounds']} rounds, {result['disturbed_rounds']} more disturbed"
    if not result["quiet"]:
        note = f"NOT QUIET: {result['rounds']} rounds, all counted although others used the cores"
    print(f"\n{workload}: {about}, {result['tokens']} tokens ({note})")
    print(f"  {'engine':<14}{'median ms':>11}{'best ms':>10}{'tokens/s':>10}{'GFLOP/s':>9}{'of peak':>9}"
          + (f"   {'its time / ours: median':>24}{'quartiles':>16}" if ours else ""))
    for name, engine in sorted(result["engines"].items(), key=lambda item: item[1]["median_seconds"]):
        rate = f"{engine['gflops']:.1f}" if "gflops" in engine else "-"
        share = f"{100 * engine['share_of_peak']:.0f}%" if engine.get("share_of_peak") else "-"
        line = (f"  {name:<14}{1e3 * engine['median_seconds']:>11.2f}{1e3 * engine['best_seconds']:>10.2f}"
                f"{engine['tokens_per_second']:>10.0f}{rate:>9}{share:>9}")
        if name in result["ratios"]:
            ratio = result["ratios"][name]
            line += f"   {ratio['median']:>24.3f}{ratio['lower_quartile']:>8.3f}{ratio['upper_quartile']:>8.3f}"
        print(line)
    for verdict in result["verdicts"]:
        word = "reached" if verdict["pass"] else "MISSED"
        if not verdict["counts"]:
            word += " (does not count: fewer than 15 quiet rounds)"
        bar = verdict["bar"]
        print(f"  bar (median >= {bar} and lower quartile >= {0.97 * bar:.3f} against {verdict['against']}): {word}")


def write_report(path, report):
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n")


def print_machine(about):
    print(f"{about['model']} (family {about['family']}, model {about['model_number']}), {about['logical_cpus']} logical "
          f"CPUs, {about['memory_gib']} GiB, {about['kernel']}\nISA: {' '.join(about['isa'])}")


def print_verdict(report):
    """The closing line, and the exit status that goes with it: 0 when all was compared and every bar is reached."""
    verdicts = [verdict for result in report["workloads"].values() for verdict in result["verdicts"]]
    for name, error in report["failed"].items():
        print(f"left out: {name}: {error}")
    good = sum(verdict["pass"] and verdict["counts"] for verdict in verdicts)
    if verdicts:
        print(f"\n{good} of {len(verdicts)} bars are reached in runs that count")
    return 0 if good == len(verdicts) and not report["failed"] else 1


def add_arguments(parser, root, worker, peers):
    """The options that all comparisons have. `worker`: the name of our binary."""
    parser.add_argument("--work", type=Path, default=root / "build" / "peers", help="where models and exports are kept")
    parser.add_argument("--ours", default=str(root / "build" / "bin" / worker), help="worker binary, or none")
    parser.add_argument("--peers", default="", help="comma-separated peers, or none; default: all of the precision")
    parser.add_argument("--workloads", default="", help="comma-separated workloads; default: all")
    parser.add_argument("--threads", type=int, default=2, help="threads of each engine")
    parser.add_argument("--cpus", default="", help="comma-separated cores to use; default: the first THREADS allowed ones")
    parser.add_argument("--rounds", type=int, default=21, help="rounds per workload (at least 15 for a verdict)")
    parser.add_argument("--wait", type=float, default=60.0, help="seconds per workload to wait for others to be quiet")
    parser.add_argument("--tune", choices=["auto", "force", "off"], default="auto",
                        help="the peers' settings: found once, found again, or the start values (for trying the script)")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    parser.add_argument("--more", action="store_true", help="add to the rounds that the file of --json has already")
    parser.add_argument("--worker", choices=peers, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)


def chosen(given, allowed, absent=()):
    """The names of a comma-separated list, checked; all when there is none."""
    names = list(allowed) if given in ("", None) else [] if given in absent else given.split(",")
    for name in names:
        if name not in allowed:
            sys.exit(f"error: {name} is none of {', '.join(allowed)}")
    return names


def cores(options):
    available = sorted(os.sched_getaffinity(0))
    return {int(cpu) for cpu in options.cpus.split(",")} if options.cpus else set(available[: options.threads])


class Comparison:
    """One comparison, from the files that the engines need to the verdict. A subclass says what is compared; `script` is
    its file, which is called again with --make and --worker."""

    about = {}      # of each workload, for the reader
    measures = ""   # what check() gives, for the reader: "tokens that are not torch's"

    def __init__(self, options, script, peers, workloads, dtype):
        self.options, self.peers, self.workloads, self.dtype = options, peers, workloads, dtype
        self.directory = options.work.resolve() / options.model
        self.ours = None if options.ours == "none" else "ours"
        self.cpus = cores(options)
        self.again = [sys.executable, script, "--work", str(options.work), "--model", options.model,
                      "--precision", options.precision]
        self.report = {"machine": machine(), "model": options.model, "threads": options.threads,
                       "cpus": sorted(self.cpus), "date": time.strftime("%Y-%m-%d"), "precision": options.precision,
                       "engines": {}, "settings": {}, "difference": {}, "failed": {},
                       "workloads": earlier_workloads(options)}

    def make(self):
        """Makes what the engines read, in processes of their own."""
        subprocess.run(self.again + ["--make"], check=True, stdout=sys.stderr)

    def check(self, worker, workload):
        """How far a worker's answer is from the reference; WorkerError where it is too far."""
        raise NotImplementedError

    def measure_ours(self, worker):
        """What our worker says of itself before the rounds; gives the peak in GFLOP/s, or None."""
        self.report["peak"] = json.loads(worker.ask("peak", "peak"))
        return self.report["peak"]["gflops"]

    def warm_runs(self, workload):
        return 1

    def repeats(self, workload):
        """(unrecorded, recorded) runs of one engine in one round."""
        return (0, 1)

    def work(self, workload):
        """{'sentences': ..., 'tokens': ..., 'flops': ...} of one run."""
        raise NotImplementedError

    def bars(self, workload):
        raise NotImplementedError

    def adopt(self, worker):
        if worker.name != self.ours:
            path = self.directory / f"settings-{worker.name}-{self.options.precision}.json"
            self.report["settings"][worker.name] = tuned_settings(worker, self.workloads, path, self.options.tune)
        self.report["difference"][worker.name] = {w: self.check(worker, w) for w in self.workloads}

    def start_workers(self):
        """A peer that fails is left out and named in the report; ours may not fail."""
        commands = {peer: self.again + ["--worker", peer, "--threads", str(self.options.threads)] for peer in self.peers}
        if self.ours:
            commands[self.ours] = [self.options.ours, str(self.directory / "model"), str(self.directory / "inputs"),
                                   str(self.options.threads), self.dtype]
        workers = []
        for name, command in commands.items():
            try:
                log = self.directory / "logs" / f"{name}.log"
                workers.append(Worker(name, command, self.cpus, self.options.threads, log))
                self.report["engines"][name] = workers[-1].about["engine"]
                self.adopt(workers[-1])
            except WorkerError as error:
                if name == self.ours:
                    raise
                self.report["failed"][name] = str(error)
                print(f"warning: left out: {error}", file=sys.stderr)
                workers = [worker for worker in workers if worker.name != name or worker.close()]
        if not workers:
            sys.exit("error: no engine works")
        return workers

    def print_engines(self):
        print_machine(self.report["machine"])
        print(f"{self.options.model} shape, {self.options.precision}, {self.options.threads} threads on cores "
              f"{sorted(self.cpus)}, load average {self.report['machine']['load_average']:.2f} at the start")
        for name, version in self.report["engines"].items():
            differences = self.report["difference"].get(name)
            worst = f" ({self.measures}: {max(differences.values()):.1e} at most)" if differences else ""
            print(f"  {name:<14}{version}{worst}")
            for workload, settings in self.report["settings"].get(name, {}).items():
                print(f"  {'':<14}  {workload}: " + ", ".join(f"{key} {value}" for key, value in settings.items()))

    def run(self):
        """The exit status."""
        if self.ours and not os.access(self.options.ours, os.X_OK):
            sys.exit(f"error: no worker binary {self.options.ours} (build it, or give --ours none)")
        if not self.ours and not self.peers:
            sys.exit("error: nothing to compare")
        self.make()
        workers = []
        try:
            workers = self.start_workers()
            peak = self.measure_ours(workers[-1]) if self.ours else None
            self.print_engines()
            for workload in self.workloads:
                for worker in workers:
                    for _ in range(self.warm_runs(workload)):
                        worker.ask(f"run {workload}", "time")
                earlier = earlier_rounds(self.report, workload)
                rounds, disturbed, quiet = measure(workers, workload, self.repeats(workload), self.options, self.cpus)
                result = summarize(earlier + rounds, disturbed, quiet, self.work(workload), self.ours,
                                   self.bars(workload), peak)
                self.report["workloads"][workload] = result
                print_workload(workload, self.about[workload], result, self.ours)
                sys.stdout.flush()
            write_report(self.options.json, self.report)
        finally:
            for worker in workers:
                worker.close()
        return print_verdict(self.report)
