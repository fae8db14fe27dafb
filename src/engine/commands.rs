//! Commands: what is answered at once, what runs until something happens, and how refusals read.
//!
//! Promises: every command gets exactly one reply; events that it causes stand before it; every refusal has a hint
//! that can be typed. Spec: `proto-notes/events.md`.

use super::io::Errand;
use super::machine::{Engine, Question};
use super::parts::dial;
use super::parts::runs::{Happened, RunsView};
use crate::chain::{ChainStore, Transaction, TransactionError};
use crate::contract::{
    AccountRef, Command, CommandError, Condition, FoundBy, MineCommand, Refusal, Reply, Source, TxRef,
};
use crate::inspect::query::Subject;
use crate::inspect::{View, store_error, transactions};
use crate::pool::{Origin, PoolError};
use crate::types::{Account, AccountName, Address, Amount, Height, PeerId, PublicKey};

pub(super) fn read_only() -> CommandError {
    CommandError::new(
        "read_only",
        "the data folder takes no writes: it has no room, or was moved or deleted; nothing is accepted until it takes them again",
        "status",
    )
}

fn interrupted() -> CommandError {
    CommandError::new(Refusal::INTERRUPTED, "the command was interrupted", "status")
}

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_command(&mut self, id: u64, command: Command) {
        if self.mode.stopping {
            return self.out.reply(id, Err(interrupted()));
        }
        let result = match command {
            Command::Tx { from, to, amount } => self.pay(from, to, amount),
            Command::Claim(name) => self.claim(name),
            Command::Mine(MineCommand::Count(wanted)) => return self.mine(id, wanted),
            Command::Mine(MineCommand::On) => self.set_mining(true),
            Command::Mine(MineCommand::Off) => self.set_mining(false),
            Command::Chain(limit) => return self.read(id, Subject::Chain(limit)),
            Command::Block(block) => self.view().block(block),
            Command::Transaction(wanted) => self.show_transaction(wanted),
            Command::ExplainBlock(block) => self.view().explain_block(block),
            Command::ExplainTransaction(wanted) => self.view().explain_transaction(wanted),
            Command::Tamper(height) => return self.read(id, Subject::Tamper(height, self.node.config.secret)),
            Command::Stats(limit) => return self.read(id, Subject::Stats(limit, self.storage.disk_view())),
            Command::Peer { peer, act } => self.act_on_peer(&peer, act),
            Command::Doctor => {
                let may_send = self.mode.net;
                return self.send_for(id, Errand::Look { may_send });
            }
            Command::Pending => Ok(self.view().pending()),
            Command::Balance(asked) => {
                let asked = asked.map(|account| self.resolve_account(account));
                let account = asked.clone().unwrap_or_else(|| self.reward_account());
                self.payments
                    .own
                    .next_sequence(&self.chain, &self.pool, &account)
                    .map_err(store_error)
                    .and_then(|next| self.view().balance(asked, next))
            }
            Command::Whoami => self.view().whoami(),
            Command::History { account, limit } => {
                let account = account.map(|account| self.resolve_account(account));
                return self.history(id, account, limit);
            }
            Command::Accounts => self.view().accounts(),
            Command::Tree(limit) => self.view().tree(limit),
            Command::Peers => Ok(self.show_peers()),
            Command::Dial { address, peer } => return self.dial(id, address, peer),
            Command::Invite => self.invite(),
            Command::Join(ticket) => return self.join(id, *ticket),
            Command::Resolve => return self.resolve(id),
            Command::Rewind => self.rewind(),
            Command::Status => Ok(Reply::Status(Box::new(self.status()))),
            Command::Net(on) => Ok(self.set_net(on)),
            Command::Wait { condition, seconds } => return self.wait(id, condition, seconds),
        };
        self.out.reply(id, result);
    }

    /// What can be read of chain and pool.
    pub(super) const fn view(&self) -> View<'_, S> {
        View {
            chain: &self.chain,
            pool: &self.pool,
            me: self.node.me,
            name: self.node.config.name.as_ref(),
        }
    }

    fn show_transaction(&self, wanted: TxRef) -> Result<Reply, CommandError> {
        let txid = self.view().find_transaction(wanted)?;
        let is_known = self
            .pool
            .is_own(&txid)
            .then(|| self.payments.own.is_known(self.clock.now(), &txid));
        self.view().transaction(&txid, is_known.flatten())
    }

    /// A command began to wait, or too many wait already.
    pub(super) fn began(&mut self, id: u64, has_begun: bool) {
        if !has_begun {
            self.out.reply(id, Err(interrupted()));
        }
    }

    pub(super) fn on_cancel(&mut self, id: u64) {
        if let Some(refusal) = self.runs.cancel(id) {
            self.out.reply(id, Err(refusal));
        }
    }

    fn resolve_account(&self, account: AccountRef) -> Account {
        match account {
            AccountRef::Me => self.reward_account(),
            AccountRef::Account(account) => account,
        }
    }

    /// Who owns an account, by the chain or by the first claim in the pool.
    fn owner_now(&self, account: &Account) -> Result<Option<PublicKey>, CommandError> {
        let owner = self.chain.owner(account).map_err(store_error)?;
        Ok(match (owner, account) {
            (None, Account::Name(name)) => {
                let is_waiting = self.payments.own.uses(account);
                self.pool.pending_owner(name).or(is_waiting.then_some(self.node.me))
            }
            (owner, _) => owner,
        })
    }

    fn pay(&mut self, from: AccountRef, to: AccountRef, amount: Amount) -> Result<Reply, CommandError> {
        if self.mode.read_only {
            return Err(read_only());
        }
        let (from, to) = (self.resolve_account(from), self.resolve_account(to));
        if from == to {
            return Err(form_refused(&TransactionError::SelfTransfer(from)));
        }
        let owner = self.owner_now(&from)?;
        if let Some(owner) = owner.filter(|owner| *owner != self.node.me) {
            let message = match &from {
                Account::Name(_) => format!("{from} belongs to {}", self.other_key(&owner)),
                Account::Key(_) => format!("{from} is another node's own account: only that node can pay from it"),
            };
            return Err(CommandError::new("not_owner", message, "accounts"));
        }
        let to_owner = self.owner_now(&to)?;
        let sequence = self
            .payments
            .own
            .next_sequence(&self.chain, &self.pool, &from)
            .map_err(store_error)?;
        let transaction = Transaction::transfer(
            &self.chain.network_id(),
            &self.node.config.key,
            (from.clone(), to.clone(), to_owner),
            amount,
            sequence,
        )
        .map_err(|error| form_refused(&error))?;
        let mut lessons = Vec::new();
        let mut notices = Vec::new();
        match (to_owner, &to) {
            (None, _) => notices.push(format!(
                "nobody owns {to} yet: the first key that signs for it will own these coins"
            )),
            (Some(key), Account::Name(_)) if key == self.node.me => lessons.push(format!("{to} is yours too")),
            (Some(key), Account::Name(_)) => lessons.push(format!("{to} belongs to {}", self.key_words(&key))),
            (Some(_), Account::Key(_)) => {}
        }
        let paid = self.submit(transaction, (notices, lessons), Some(&from));
        paid.map_err(|error| self.hint_to_move(error, &from, amount))
    }

    /// A payment that the name and the key of this node could make together: the hint moves what is missing.
    fn hint_to_move(&self, error: CommandError, from: &Account, amount: Amount) -> CommandError {
        let (key, name) = (Account::Key(self.node.me), self.reward_account());
        let other = if *from == key { &name } else { &key };
        let pending = |account| self.pool.pending_balance(&self.chain, account).unwrap_or(0);
        let limit = i64::try_from(self.chain.params().credit_limit).unwrap_or(i64::MAX);
        let missing = i64::try_from(amount.get())
            .unwrap_or(i64::MAX)
            .saturating_sub(pending(from).saturating_add(limit));
        let is_own = *from == key || *from == name;
        if error.code != "overdraft" || !is_own || other == from || missing <= 0 || pending(other) < missing {
            return error;
        }
        CommandError {
            message: format!("{}; {other} owns {} more", error.message, pending(other)),
            hint: format!("tx {other} {from} {missing}"),
            ..error
        }
    }

    fn claim(&mut self, name: AccountName) -> Result<Reply, CommandError> {
        if self.mode.read_only {
            return Err(read_only());
        }
        let account = Account::Name(name.clone());
        if let Some(owner) = self.owner_now(&account)? {
            let whose = if owner == self.node.me {
                "is yours already".to_owned()
            } else {
                format!("belongs to {}", self.other_key(&owner))
            };
            return Err(CommandError::new(
                "already_claimed",
                format!("{name} {whose}"),
                format!("balance {name}"),
            ));
        }
        let mut lessons = Vec::new();
        if self.node.config.name.is_none() {
            lessons.push(format!(
                "start the node with --name {name} to be called so, and to get rewards there"
            ));
        }
        let transaction = Transaction::claim(&self.chain.network_id(), &self.node.config.key, name);
        self.submit(transaction, (Vec::new(), lessons), None)
    }

    /// An own transaction: into the pool, to the disk, to the peers. Notices warn; lessons say what it means.
    fn submit(
        &mut self,
        transaction: Transaction,
        (mut notices, mut lessons): (Vec<String>, Vec<String>),
        payer: Option<&Account>,
    ) -> Result<Reply, CommandError> {
        // Signed a moment ago, so the signature need not be checked.
        self.pool
            .add_checked(&self.chain, transaction.clone(), Origin::Own)
            .map_err(|error| pool_refused(&error))?;
        self.chain.keep_own(&transaction);
        self.out.made_own();
        self.publish_transaction(&transaction);
        self.out
            .event(transactions::accepted_event(&transaction, Source::Local));
        self.peers.links.changed();
        self.mining.refresh_soon(self.clock.now());
        if let Some(payer) = payer {
            let balance = self.pool.pending_balance(&self.chain, payer).map_err(store_error)?;
            if balance < 0 {
                lessons.push(format!("{payer} owes {} then", balance.unsigned_abs()));
            }
        }
        if self.known_peers() == 0 {
            notices.push("no peer yet: it is announced when one comes".to_owned());
        }
        let block = self.payments.own.expected(&self.chain, &self.pool, &transaction);
        if let Some((Account::Name(name), 0)) = transaction.sequence() {
            let what = match transaction {
                Transaction::Claim(_) => "the claim",
                Transaction::Transfer(_) | Transaction::Reward(_) => "this payment",
            };
            lessons.insert(0, format!("{name} is yours once block {block} holds {what}"));
        }
        Ok(Reply::Tx {
            tx: transactions::tx_view(&transaction, self.chain.params().reward),
            block,
            message: format!("Transaction will be added to Block {block}"),
            notice: (!notices.is_empty()).then(|| notices.join("; ")),
            lessons,
        })
    }

    /// The claim of `--name`, once, if the name is free as far as is known here.
    pub(super) fn claim_own_name(&mut self) {
        let Some(name) = self.node.config.name.clone() else {
            return;
        };
        match self.owner_now(&Account::Name(name.clone())) {
            Ok(None) => {
                if let Err(error) = self.claim(name) {
                    self.out.warn("name_taken", error.message);
                }
            }
            Ok(Some(_)) => self.check_name(),
            Err(_) => {}
        }
    }

    fn mine(&mut self, id: u64, wanted: u32) {
        if let Some(error) = self.cannot_mine() {
            return self.out.reply(id, Err(error));
        }
        if let Some(refused) = self.ahead_refusal() {
            return self.out.reply(id, Err(refused));
        }
        self.mining.hurry();
        let has_begun = self.runs.mine(id, wanted);
        self.began(id, has_begun);
    }

    fn set_mining(&mut self, on: bool) -> Result<Reply, CommandError> {
        if let Some(error) = self.cannot_mine().filter(|_| on) {
            return Err(error);
        }
        self.mining.turn(on);
        if !on {
            for (id, refusal) in self.runs.mining_off() {
                self.out.reply(id, Err(refusal));
            }
        }
        Ok(Reply::Mining { mining: on })
    }

    pub(super) fn dial(&mut self, id: u64, address: Address, peer: Option<PeerId>) {
        if !self.mode.net {
            let error = CommandError::new("dial_failed", "the network is off", "net on");
            return self.out.reply(id, Err(error));
        }
        if self.mode.no_network {
            let error = CommandError::new("dial_failed", "the network part of this node has failed", "doctor");
            return self.out.reply(id, Err(error));
        }
        if peer == Some(self.node.peer_id) {
            let message = "this is the node's own PeerId; if another node shows it too, both use one key";
            return self
                .out
                .reply(id, Err(CommandError::new("dial_failed", message, "peers")));
        }
        if self.peers.links.addresses().contains(&address) {
            let error = CommandError::new("dial_failed", "this is the node's own address", "peers");
            return self.out.reply(id, Err(error));
        }
        let known = self
            .peers
            .links
            .iter()
            .find(|(who, known)| Some(**who) == peer || (peer.is_none() && known.address == address))
            .map(|(who, known)| (*who, known.direction));
        let fact = match peer {
            Some(peer) => dial::Fact::Found {
                peer,
                address: address.clone(),
                by: FoundBy::Manual,
                from: None,
            },
            None => dial::Fact::Typed(address.clone()),
        };
        self.peers.dialer.handle(self.clock.now(), fact);
        if let Some((peer, direction)) = known {
            let address = address.clone();
            let connected = dial::Fact::Connected {
                peer,
                address,
                direction,
            };
            self.peers.dialer.handle(self.clock.now(), connected);
        }
        let peer = known.map(|(known, _)| known).or(peer);
        let has_begun = self.runs.dial(id, self.clock.now(), address, peer);
        self.began(id, has_begun);
    }

    fn resolve(&mut self, id: u64) {
        let peers: Vec<PeerId> = self.peers.links.ids();
        let mut asked = Vec::new();
        self.sync.sources.trust_again(self.clock.now());
        for peer in peers {
            self.send_status(peer);
            let open = self
                .peers
                .requests
                .to(&peer)
                .find(|(_, open)| open.what == Question::Status);
            asked.extend(open.map(|(request, _)| *request));
        }
        let has_begun = self.runs.resolve(id, self.clock.now(), asked);
        self.began(id, has_begun);
    }

    fn wait(&mut self, id: u64, condition: Condition, seconds: u32) {
        let departed = match &condition {
            Condition::Confirmed(txid) => self.departed(txid),
            Condition::Peers(_) | Condition::Height(_) | Condition::Synced => None,
        };
        let has_begun = self.runs.wait(id, self.clock.now(), condition, seconds);
        self.began(id, has_begun);
        if let Some(departed) = departed {
            self.runs.handle(Happened::Dropped(&departed));
        }
    }

    /// Commands whose end has come.
    pub(super) fn pump_runs(&mut self) {
        if self.runs.is_empty() {
            return;
        }
        let ahead = self.ahead();
        let known_peers = self.known_peers();
        let tip = self.chain.tip();
        let is_behind = || {
            self.sync
                .sources
                .claims(self.clock.now())
                .any(|(_, _, work)| work > tip.work)
        };
        let (peers, requests, chain) = (&self.peers.links, &self.peers.requests, &self.chain);
        let known = |id: &PeerId| peers.get(id).filter(|peer| peer.status.is_some());
        let around = RunsView {
            now: self.clock.now(),
            network: &self.node.config.params.name,
            tip: (tip.header.height, tip.hash),
            known_peers,
            is_synced: known_peers > 0 && self.sync.is_idle() && !is_behind() && ahead.is_none(),
            is_dialling: self.mode.net && self.peers.dialer.next_wakeup(self.clock.now()).is_some(),
            is_improving: !self.sync.is_idle() || self.hears_of_better(),
            ahead,
            address_of: &|id| known(id).map(|peer| peer.address.with_peer(id)),
            is_open: &|id| requests.contains(id),
            is_confirmed: &|txid| matches!(chain.place(txid), Ok(Some(_))),
        };
        for (id, result) in self.runs.poll(&around) {
            self.out.reply(id, result);
        }
    }

    /// The height that the newest block has.
    #[must_use]
    pub fn height(&self) -> Height {
        self.chain.tip().header.height
    }
}

/// A rule of form.
fn form_refused(error: &TransactionError) -> CommandError {
    CommandError::new(error.code(), error.to_string(), "help tx")
}

/// A refusal of the pool as an error of the command, with a hint that can be typed.
fn pool_refused(error: &PoolError) -> CommandError {
    CommandError::new(error.code(), error.to_string(), error.hint())
}
