// Every word that the page shows, in English and Chinese, and the choice between them.
//
// Promises: no other part holds a sentence. `{0}`, `{1}` … are filled in by `t`. What the node says (messages, hints,
// reasons) is shown as it comes: the program speaks English.

/** One line for each key: key | English | Chinese. */
const WORDS = new Map(
  `
skip|To the chain|跳到链
tree|The chain, and where each node stands|链，以及每个节点的位置
height|height|高度
peers|peers|对等节点
waiting|payments waiting|等待中的付款
rate|hashes a second here|本节点每秒哈希数
difficulty|difficulty ({0} zero bits)|难度（{0} 个零位）
pace|time between blocks|出块间隔
onein|1 hash in {0}|{0} 个哈希中 1 个
replay|Replay|回放
down|Not connected to the node, trying again …|与节点的连接已断开，正在重试……
now|to the newest block →|回到最新区块 →
nothing|No block yet. Blocks are made by mining.|还没有区块。区块是挖出来的。
first|Mine the first block|挖出第一个区块
dialthis|Type at another node:|在另一个节点上输入：
play|Play|播放
pause|Pause|暂停
openlog|Open a recorded log|打开记录的日志
live|Back to live|回到实时
replayat|event {0} of {1} · {2}|事件 {0} / {1} · {2}
k-block|a block: a page of payments, tied to the block before it|区块：一页付款记录，与前一个区块相连
k-stale|a block that lost: another branch has more work|落选的区块：另一条分支的工作量更多
k-coin|one dot is one payment|一个点是一笔付款
k-hash|the first 8 of the 64 digits of a block’s hash, its fingerprint|区块哈希 64 位数字的前 8 位：它的指纹
k-node|a node, above the newest block that it knows|节点，标在它所知的最新区块上方
do|Do it|动手
readonly|Everybody may look. Mining and paying from here is for whoever sits at the node’s own machine.|谁都可以看。只有在节点所在的机器上才能挖矿和付款。
locked|Everybody may look. To mine and pay, open the address with the token: type \`web\` at the node.|谁都可以看。要挖矿和付款，请打开带令牌的地址：在节点上输入 \`web\`。
mine|Mine a block|挖一个区块
mineon|Keep mining|一直挖
mineoff|Stop mining|停止挖矿
netoff|Pull the cable|拔掉网线
neton|Plug the cable in|插回网线
from|from|付款人
to|to|收款人
pay|Pay|付款
name|name|名字
claim|Claim|登记
line|command|命令
score|Who has and who mined|谁有币，谁挖了矿
who|who|谁
coins|coins|币
blocks|blocks|区块
scorewhy|Blocks: of the newest {0}. {1} accounts.|区块数：最新 {0} 个之中。共 {1} 个账户。
told|Who told whom|谁告诉了谁
node|node|节点
latency|latency|延迟
version|version|版本
since|since|连接时间
seen|{0} of {1} nodes seen are neighbours. A pulse is a message.|所知 {1} 个节点中 {0} 个是邻居。闪动是消息。
plots|Time and difficulty|时间与难度
zero|difficulty in zero bits|难度（零位数）
timesat|newest {0}, mean {1}|最近 {0}，平均 {1}
bitsat|A hash must begin with {0} zero bits: 1 in {1} is good enough{2}|哈希要以 {0} 个零位开头：{1} 个中有 1 个够好{2}
here|, about {0} a block here|，本节点约 {0} 一个区块
news|What happened|发生了什么
close|Close|关闭
next|Next block|下一个区块
notyet|nobody has mined it yet|还没有人挖出它
searching|this node is searching|本节点正在搜索
empty|no payment waits|没有等待中的付款
tray|Refused: they go into no block|被拒绝：不会进入任何区块
more|and {0} more|还有 {0} 笔
you|{0} (you)|{0}（你）
genesis|the beginning|起点
unknown|not here yet|尚未到达
payments0|no payments|没有交易
payments1|1 payment|1 笔交易
paymentsN|{0} payments|{0} 笔交易
claims|the name {0} is claimed|名字 {0} 被登记
pays|{0} pays {1} {2}|{0} 付给 {1} {2} 币
reward|reward: {1} to {0}|奖励：{1} 币给 {0}
active|on the chain|在主链上
stale|on a branch that lost|在落选的分支上
lhere|here: {0}|在此：{0}
n_block|{0} mined block {1}: {2}|{0} 挖出区块 {1}：{2}
n_side|{0} mined another block {1}: two branches now. The one with more work wins.|{0} 挖出另一个区块 {1}：现在有两条分支，工作量多的胜出。
n_reorg|The branch of {0} has more work, so it wins. After block {1}, {2} blocks went out and {3} came in|{0} 的分支工作量更多：它取代了区块 {1} 之后的链。区块退出 {2} 个，进来 {3} 个
n_back|. Payments that wait again: {0}|；{0} 笔交易重新等待
n_dead|; refused now: {0}|，{0} 笔失效
n_tx|{0}: waits for a block|{0}：等待进入区块
n_drop|{0}: refused now, {1}|{0}：已丢弃，{1}
n_drops|{0} payments are refused now|{0} 笔交易被丢弃
n_join|{0} is connected|{0} 已连接
n_leave|{0} is gone: {1}|{0} 已离开：{1}
n_bad|Block {0} was refused: {1}|区块 {0} 被拒绝：{1}
n_sync|Fetching blocks from {0}: {1} of {2}|正在从 {0} 获取区块：{1} / {2}
n_stop|The node stopped.|节点已停止。
n_quiet|Pay somebody, then mine: watch the payment go into a block.|付一笔款，再挖矿：看付款进入区块。
block|Block {0}|区块 {0}
by|mined by {0} at {1}|由 {0} 于 {1} 挖出
bytes|The 96 bytes that are hashed|被哈希的 96 个字节
change|Change something: a number, or an amount below|改一改：改一个数，或下面的金额
previous_hash|block before|前一个区块
merkle_root|root of the payments|交易的默克尔树根
bits|difficulty|难度
time|time|时间
nonce|nonce|随机数
hashis|Their SHA-256, computed in this page|本页算出的 SHA-256
mustbe|must be below {0}|必须小于 {0}
good|✓ {0} zero bits; {1} are needed|✓ {0} 个零位；需要 {1} 个
bad|✗ only {0} zero bits; {1} are needed: nobody would take this block|✗ 只有 {0} 个零位；需要 {1} 个：谁也不会接受
same|✓ the hash that the node says|✓ 与节点给出的哈希相同
differs|✗ another hash: the blocks behind it point to a block that is not there|✗ 哈希变了：后面的区块指向一个不存在的区块
again|Mine it again in this page|在本页重新挖
undo|Undo|还原
mined|Found after {0} attempts: the work is done again, but the next block still names the old hash{1}.|尝试 {0} 次后找到：工作重新做了，但下一个区块仍指向旧哈希{1}。
unsigned|, and nobody signed the changed payment|，而且没有人为改过的付款签名
toohard|too hard for a page: about {0} attempts|对网页来说太难：约需 {0} 次尝试
behind|The chain behind it|它后面的链
verdicts|What the rules say of changed copies|规则怎样判定篡改的副本
ask|Ask the node (tamper)|询问节点（tamper）
accepted|accepted|接受
inblock|What is in it|里面有什么
s_wait|sent, and waiting|已发出，等待中
s_block|in block {0}|在区块 {0} 中
s_conf|confirmations: {0}, its own block and those upon it|确认数：{0}（它的区块和上面的区块）
way|Is it really in that block? The way to the root, computed in this page|它真的在那个区块里吗？本页逐步算出通往根的路径
leaf|hash of its bytes|它的字节的哈希
step_left|with the hash on its left|与左边的哈希合并
step_right|with the hash on its right|与右边的哈希合并
rootgood|✓ this is the root in the block’s header: it is in there|✓ 与区块头中的根相同：它就在里面
rootbad|✗ this is not the root in the block’s header|✗ 与区块头中的根不同
account|Account {0}|账户 {0}
owes|owes {0}|欠 {0}
withpool|{0} with what waits|计入等待中的为 {0}
owner|owner:|所有者：
free|nobody owns this name yet|这个名字还没有所有者
`
    .trim()
    .split('\n')
    .map((line) => line.split('|'))
    .map(([key, ...words]) => [key, words]),
);

/** What the browser keeps, `localStorage` or, for a tab, `sessionStorage`; one that may not keep anything forgets. */
function remembered(kind, key, value) {
  try {
    if (value) window[kind].setItem(key, value);
    return window[kind].getItem(key);
  } catch {
    return value;
  }
}

let language = remembered('localStorage', 'language') ?? (navigator.language.startsWith('zh') ? 'zh' : 'en');

/** The words of a key in the chosen language, with the values put in. */
function t(key, ...values) {
  const words = WORDS.get(key)?.[language === 'zh' ? 1 : 0] ?? key;
  return words.replace(/\{(\d)\}/g, (_, index) => values[index] ?? '');
}

/** "3 payments", "1 payment", "no payments". */
function payments(count) {
  return t(`payments${count < 2 ? count : 'N'}`, count);
}

/** Puts the words into what stands in the page from its beginning. */
function translatePage() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll('[data-t]')) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll('[data-l]')) element.setAttribute('aria-label', t(element.dataset.l));
  [$('language').textContent, $('language').lang] = language === 'zh' ? ['English', 'en'] : ['中文', 'zh'];
}
