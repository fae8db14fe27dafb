//! Network namespaces for tests: a test runs itself again inside one, with interfaces that nobody else sees.
//!
//! Promises: nothing of the machine's network is touched; where the system refuses namespaces the test says SKIPPED,
//! loudly, and passes.

use std::process::{Child, Command, Stdio};

/// Holds the name of the test that runs inside its namespace.
const MARKER: &str = "LANCHAIN_TEST_NAMESPACE";

/// The interfaces of a namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interfaces {
    /// The cable is pulled.
    Loopback,
    /// Loopback and one interface with an address and a default route.
    Lan,
}

/// Runs the body of the test `module::name` in a namespace of its own.
pub(crate) fn within(test: &str, interfaces: Interfaces, body: impl FnOnce()) {
    if std::env::var(MARKER).as_deref() == Ok(test) {
        set_up(interfaces);
        return body();
    }
    if !available() {
        eprintln!("SKIPPED {test}: this system gives no network namespace (try: unshare -Urnm true)");
        return;
    }
    let itself = std::env::current_exe().expect("a test knows its binary");
    let status = Command::new("unshare")
        .args(["-Urnm", "--fork", "--kill-child"])
        .arg(itself)
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(MARKER, test)
        .status()
        .expect("unshare was there a moment ago");
    assert!(status.success(), "{test} failed inside its namespace, see above");
}

fn available() -> bool {
    let quiet = |command: &mut Command| {
        let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    quiet(Command::new("unshare").args(["-Urnm", "true"])) && quiet(Command::new("ip").arg("-V"))
}

/// Runs `ip` with these words.
pub(crate) fn ip(words: &str) {
    let status = Command::new("ip").args(words.split_whitespace()).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {words}");
}

fn set_up(interfaces: Interfaces) {
    // The list of interfaces is this namespace's then. Where it may not be mounted, what a node sees there is less.
    let mount = Command::new("mount")
        .args(["-t", "sysfs", "sysfs", "/sys"])
        .stderr(Stdio::null())
        .status();
    mount.ok();
    ip("link set lo up");
    if interfaces == Interfaces::Lan {
        ip("link add lan0 type veth peer name lan1");
        ip("address add 10.77.0.1/24 dev lan0");
        ip("link set lan0 up");
        ip("link set lan1 up");
        ip("route add default via 10.77.0.2 dev lan0");
    }
}

/// A bridge with a namespace, a cable and an address for each host: several machines in one test.
pub(crate) struct Bridge {
    hosts: Vec<Child>,
}

impl Bridge {
    /// Builds it; call within [`within`] and [`Interfaces::Loopback`].
    pub(crate) fn with_hosts(count: usize) -> Self {
        ip("link add bridge0 type bridge mcast_snooping 0");
        ip("link set bridge0 up");
        let hosts = (1..=count).map(Self::add_host).collect();
        Self { hosts }
    }

    fn add_host(number: usize) -> Child {
        // The host lives as long as the process that holds its namespace.
        let mut holder = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo ready; exec sleep 3600"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare was there a moment ago");
        let mut ready = String::new();
        let stdout = holder.stdout.as_mut().expect("piped");
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut ready).expect("a line");
        let pid = holder.id();
        ip(&format!("link add cable{number} type veth peer name eth0 netns {pid}"));
        ip(&format!("link set cable{number} master bridge0 up"));
        ip_inside(pid, "link set lo up");
        // A machine keeps its hardware address: the others need not learn it anew when it was off.
        ip_inside(pid, &format!("link set eth0 address 02:00:00:00:00:{number:02x}"));
        set_address(pid, number);
        holder
    }

    /// Gives a host another address, 10.77.0.`last`, in place of the one that it has.
    pub(crate) fn set_address(&self, host: usize, last: usize) {
        let pid = self.hosts[host].id();
        ip_inside(pid, "address flush dev eth0");
        set_address(pid, last);
    }

    /// Cuts a host's power: no word of it gets out. What ran on it has to be killed by the caller, between this and
    /// [`Bridge::power_on`].
    pub(crate) fn power_off(&mut self, host: usize) {
        ip(&format!("link delete cable{}", host + 1));
        self.hosts[host].kill().unwrap_or_default();
        self.hosts[host].wait().ok();
    }

    /// Gives it back: the host has its first address, and nothing runs on it.
    pub(crate) fn power_on(&mut self, host: usize) {
        self.hosts[host] = Self::add_host(host + 1);
    }

    /// A command that runs on a host, counted from 0.
    pub(crate) fn on(&self, host: usize, command: &Command) -> Command {
        let mut inside = enter(self.hosts[host].id());
        inside.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Pulls a host's cable, or plugs it in.
    pub(crate) fn cable(&self, host: usize, state: &str) {
        ip(&format!("link set cable{} {state}", host + 1));
    }
}

fn set_address(pid: u32, last: usize) {
    ip_inside(pid, &format!("address add 10.77.0.{last}/24 dev eth0"));
    ip_inside(pid, "link set eth0 up");
    ip_inside(pid, "route add default via 10.77.0.254 dev eth0");
}

/// Runs `ip` with these words on the host that this process holds.
fn ip_inside(pid: u32, words: &str) {
    let status = enter(pid).arg("ip").args(words.split(' ')).status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "ip {words} in the namespace of {pid}"
    );
}

fn enter(pid: u32) -> Command {
    let mut command = Command::new("nsenter");
    command.args(["-t", &pid.to_string(), "-n"]);
    command
}

impl Drop for Bridge {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            host.kill().unwrap_or_default();
            host.wait().ok();
        }
    }
}
