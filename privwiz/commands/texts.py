"""What the wizard says in a terminal, in English and Simplified Chinese."""

from collections.abc import Mapping

from privwiz.words import AUDIENCES, LEVELS, check_language

__all__ = ["NOT_SAID", "TEXTS", "tell", "value_text"]

NOT_SAID = "—"

_HELP = """\
Enter         confirm what is shown; — stays open
g             confirm, and take every suggestion; g 5 none: all but number 5
2 all 5 none  set numbers 2 and 5 and confirm; also 2=all,5=none   2-4 most
deny          set all of them and confirm; deny 2 allow: all but number 2
3 ?           not sure about number 3: it stays hidden until you decide
3 -           leave number 3 open
              First letters will do where they are clear: 2 m 5 n
s skip this screen · u take the last screen back · w why this is asked
p the policy so far · q stop (what you confirmed is kept) · h this help"""
_HELP_ZH = """\
回车              按所示确认；— 表示不回答
g                 确认，并采用全部建议；g 5 都不行：除第 5 项外都采用
2 都可以 5 都不行 设定第 2、5 项并确认；也可写 2=all,5=none   2-4 大多数
不可以            全部设为此值并确认；不可以 2 可以：除第 2 项外
3 ?               第 3 项不确定：在您决定之前不会显示
3 -               第 3 项不回答
                  只要不产生歧义，写开头即可：2 大多 5 n
s 跳过本屏 · u 撤销上一屏 · w 为什么问这个
p 目前的结果 · q 停止（已确认的都会保留） · h 帮助"""

TEXTS: Mapping[str, tuple[str, str]] = {
    "welcome": (
        "{user}: {friends}, {items} to protect.\nAnswering shows nothing to anybody; it makes a proposal.",
        "{user}：{friends}，{items}。\n回答问题不会向任何人公开资料；最后您会得到一份建议。",
    ),
    "welcome_back": ("Welcome back, {user}: {screens} answered so far.", "{user}，欢迎回来：已回答 {screens}。"),
    "one_friend": ("1 friend", "1 位好友"),
    "friends": ("{number} friends", "{number} 位好友"),
    "one_thing": ("1 thing", "1 项资料"),
    "things": ("{number} things", "{number} 项资料"),
    "one_screen": ("1 screen", "1 屏"),
    "screens": ("{number} screens", "{number} 屏"),
    "no_friends": ("{user} has no friends in this graph: there is nothing to ask.", "{user} 在此图中没有好友：没有什么要问的。"),
    "screen": ("Screen {number}", "第 {number} 屏"),
    "right": ("about {share} % right, {open} % open", "约 {share}% 正确，{open}% 待定"),
    "pays": ("saves about {gain} corrections", "约可省去 {gain} 处修改"),
    "pays_little": ("nearly done", "快完成了"),
    "hint": (
        "Enter: confirm as shown · g: with the suggestions · {example}: set · h: help",
        "回车：按所示确认 · g：连同建议确认 · {example}：设定并确认 · h：帮助",
    ),
    "example": ("2 {one} 5 {other}", "2 {one} 5 {other}"),
    "example_one": ("{one} or {other}", "{one} 或 {other}"),
    "choices": ("Say {choices}; ? not sure; - leave open.", "可填：{choices}；? 不确定；- 不回答。"),
    "choices_audience": ("Say {choices} or 30%; ? not sure.", "可填：{choices} 或 30%；? 不确定。"),
    "noted": ("Noted: {said} answered, {left} left open.", "已记下：回答 {said} 项，未答 {left} 项。"),
    "skipped": ("Left open; it will not be asked again. u takes it back.", "已跳过，不会再问。输入 u 可撤销。"),
    "undone": ("Taken back: {what}.", "已撤销：{what}。"),
    "undone_screen": ("the last screen", "上一屏"),
    "undone_label": ("your own last choice", "您上一次的设定"),
    "nothing_to_undo": ("There is nothing to take back.", "没有可撤销的内容。"),
    "stop": ("Stopped here.", "到此为止。"),
    "end_of_input": ("End of input: stopped here.", "输入结束：到此为止。"),
    "enough": ("That was screen {number} of {number}.", "已完成 {number} 屏。"),
    "no_more": (
        "No further screen would pay:\ncorrecting the result by hand is now less work than answering.",
        "继续提问已不划算：现在直接修改结果比回答更省事。",
    ),
    "not_taken": ("“{token}” sets nothing here: no question is open.", "“{token}”没有起作用：现在没有待回答的问题。"),
    "last_hint": ("Enter: finish · u: take the last screen back · p: the policy", "回车：完成 · u：撤销上一屏 · p：查看结果"),
    "interrupted": ("Interrupted. Every screen that you confirmed is in {state}.", "已中断。您确认过的每一屏都保存在 {state}。"),
    "interrupted_unsaved": (
        "Interrupted; nothing was kept, because there is no --state.",
        "已中断；未指定 --state，因此没有保存。",
    ),
    "saved": (
        "Your answers are in {state}; the same command goes on from there.",
        "您的回答保存在 {state}：再次运行同一命令即可继续。",
    ),
    "unsaved": (
        "Your answers were not kept; --state FILE keeps them.",
        "未保存您的回答：使用 --state 文件 可以下次继续。",
    ),
    "written": ("The policy is in {out}.", "结果已写入 {out}。"),
    "not_written": (
        "The policy was not written; --out FILE writes it (.json, .csv, .parquet).",
        "未写入结果：请使用 --out 文件（.json、.csv、.parquet）。",
    ),
    "look_closer": (
        "Look closer:\n  privwiz show {out} --friend {friend}\n  privwiz export {out} --format openfga",
        "进一步查看：\n  privwiz show {out} --friend {friend} --lang zh\n  privwiz export {out} --format openfga",
    ),
    "proposal": ("A proposal: nothing is shown to anybody until you accept it.", "这只是建议：在您接受之前，不会向任何人公开。"),
    "why_audience": (
        "How many may see a thing fixes its level for everybody at once;\nwho they are is found out afterwards.",
        "先说明每项资料可以给多少好友看，就能一次确定总体范围；\n具体给谁看，之后再问。",
    ),
    "why_circle": (
        "What you say counts for the circle as a whole and sets nobody for certain;\nonly “none” hides it from each of them.",
        "您的回答针对整个圈子，不会逐一确定其中的每个人；\n只有“都不行”会对其中每一个人隐藏。",
    ),
    "why_circles": (
        "These are the answers about groups that tell most.\nOnly “none” hides a thing from each one in a group.",
        "关于这些分组的回答最能说明问题。\n只有“都不行”会对分组中的每一个人隐藏。",
    ),
    "why_item": (
        "These circles share nobody; what you say counts for each circle as a whole.",
        "这些圈子互不重叠；您的回答针对每个圈子整体。",
    ),
    "why_friend": (
        "What you say holds for this friend, and counts for friends like this one.",
        "您的回答对这位好友完全有效，并作为相似好友的参考。",
    ),
    "why_gain": (
        "About {wrong} of {cells} settings are probably wrong now;\nthis screen is expected to set right {gain} of them.",
        "在 {cells} 项设置中，目前大约有 {wrong} 项可能不对；\n这一屏预计能纠正其中 {gain} 项。",
    ),
    "why_guess": (
        "Filled in is only what the wizard is sure of;\n“most?” is a suggestion, and counts only if you take it (g).",
        "只有在有把握时才会预先填好；\n带“?”的只是建议，您输入 g 才会采用。",
    ),
    "help": (_HELP, _HELP_ZH),
    "not_understood": ("“{token}” was not understood; h shows what can be said.", "不明白“{token}”；输入 h 查看可以怎么说。"),
    "ambiguous": ("“{token}” could be {choices}; write more of it.", "“{token}”可能是{choices}；请写得完整一些。"),
    "no_such_line": ("There is no number {token}; the numbers are 1 to {last}.", "没有第 {token} 项；编号为 1 到 {last}。"),
    "two_values": ("Number {token} is given two different answers; say one.", "第 {token} 项有两个不同的回答；请只填一个。"),
    "no_value": ("What should {token} be? For example: {token} {example}", "第 {token} 项要设为什么？例如：{token} {example}"),
    "no_number": ("Which number should be “{token}”? For example: 1 {token}", "哪一项要设为“{token}”？例如：1 {token}"),
    "share_only": ("{token} is a share; it answers only how many of all friends.", "{token} 是比例，只能用于回答“多少好友”。"),
    "too_much": ("{token} is more than all of them; say at most 100%.", "{token} 超过了全部；最多为 100%。"),
    "policy_head": ("{items} x {friends}, after {screens}", "{items} × {friends}，已回答 {screens}"),
    "columns": ("thing|shown|hidden|to decide", "资料|可见|不可见|待您决定"),
    "to_decide": ("“To decide” is hidden until you decide.", "“待您决定”的在您决定之前不会显示。"),
    "by_circle": (
        "Shown to how many percent of each circle (columns as numbered above):",
        "各圈子中可见的比例（%），列号同上：",
    ),
    "circle": ("circle", "圈子"),
    "outside": ("in none of these", "不在以上圈子"),
    "and": (" or ", "或"),
}
"""Key -> English and Chinese."""


def tell(key: str, language: str, **values: object) -> str:
    """Return one text, with its gaps filled."""
    return TEXTS[key][check_language(language) == "zh"].format(**values)


def value_text(value: str, language: str, *, audience: bool = False) -> str:
    """Return what a choice for a friend, a circle or an audience is called, which is also what can be typed.

    >>> value_text("most", "en"), value_text("most", "zh"), value_text("most", "zh", audience=True)
    ('most', '大多数人可以', '大多数人')
    """
    return value if language == "en" else (AUDIENCES if audience else LEVELS)[value][language]
