"""What the page says, in English and Simplified Chinese, in whole sentences."""

from collections.abc import Mapping

from privwiz.words import check_language

__all__ = ["TEXTS", "tell"]

TEXTS: Mapping[str, tuple[str, str]] = {
    # Everywhere
    "skip_link": ("Skip to the content", "跳到正文"),
    "promise": ("Nothing is shown to anybody until you accept it.", "在您接受之前，不会向任何人公开任何内容。"),
    "steps": ("Steps", "步骤"),
    "step_of": ("Step {number} of 5: {name}", "第 {number} 步，共 5 步：{name}"),
    "step_choose": ("Choose", "选择"),
    "step_circles": ("Circles", "圈子"),
    "step_answer": ("Answer", "回答"),
    "step_review": ("Review", "查看"),
    "step_accept": ("Accept", "接受"),
    "trouble_offline": (
        "There is no connection. What you filled in is still here: try again in a moment.",
        "网络未连接。您填写的内容还在，请稍后再试。",
    ),
    "trouble_server": (
        "The service did not answer. What you filled in is still here: try again in a moment.",
        "服务暂时没有响应。您填写的内容还在，请稍后再试。",
    ),
    "people_one": ("1 person", "1 人"),
    "people": ("{number} people", "{number} 人"),
    "others": ("Other friends", "其他好友"),
    "all_friends": ("all your friends", "所有好友"),
    "go_start": ("Go to the start", "回到开始"),
    # The link
    "enter_title": ("Welcome", "欢迎"),
    "enter_go": ("Open your privacy wizard", "打开隐私向导"),
    # Start
    "start_title": ("Your privacy wizard", "隐私向导"),
    "start_heading_one": (
        "Who may see what about you? Let’s settle it for your friend.",
        "谁可以看到您的什么资料？为您的 1 位好友设定好。",
    ),
    "start_heading": (
        "Who may see what about you? Let’s settle it for all {number} friends.",
        "谁可以看到您的什么资料？一次为 {number} 位好友设定好。",
    ),
    "start_lead": (
        "Answer at most {most} short screens. The wizard works out the rest, says why, and changes nothing until you accept.",
        "最多回答 {most} 屏简短的问题，其余由向导推算并说明理由；在您接受之前，什么都不会改变。",
    ),
    "start_alone": ("There is nothing to set yet", "现在还没有要设定的内容"),
    "start_alone_lead": (
        "You have no friends here yet. As soon as you have, come back: nobody sees anything until then.",
        "您在这里还没有好友。有了好友之后再来即可；在那之前，没有人能看到任何资料。",
    ),
    "fact_friends_one": ("friend", "位好友"),
    "fact_friends": ("friends", "位好友"),
    "fact_items_one": ("thing to protect", "项资料"),
    "fact_items": ("things to protect", "项资料"),
    "fact_screens": ("screens at most", "屏问题以内"),
    "pick_heading": ("What shall we look at?", "要设定哪些资料？"),
    "pick_lead": (
        "The most private come first. Nobody sees what you leave out.",
        "越私密的越靠前。没有选的对任何人都不可见。",
    ),
    "pick_again": (
        "The most private come first. What you leave out stays as it is in force now.",
        "越私密的越靠前。没有选的保持现在生效的设置。",
    ),
    "pick_nothing": ("Choose at least one thing to go on.", "请至少选择一项再继续。"),
    "sensitivity_high": ("very private", "非常私密"),
    "sensitivity_middle": ("private", "比较私密"),
    "sensitivity_low": ("everyday", "一般"),
    "start_go": ("See my circles", "查看我的圈子"),
    "start_again": ("Look at my circles again", "再看看我的圈子"),
    "start_back_one": (
        "You have answered 1 screen so far. Go on where you were; nothing changes until you accept.",
        "您已回答 1 屏，可以从上次的地方继续；在您接受之前，什么都不会改变。",
    ),
    "start_back": (
        "You have answered {number} screens so far. Go on where you were; nothing changes until you accept.",
        "您已回答 {number} 屏，可以从上次的地方继续；在您接受之前，什么都不会改变。",
    ),
    "start_resume": ("Continue", "继续"),
    "start_in_force": (
        "Your settings are in force; nothing changes until you accept again.",
        "您的设置已生效；在您再次接受之前不会改变。",
    ),
    "start_see": ("See them", "查看设置"),
    "newcomers_one": ("1 new friend sees nothing yet", "1 位新好友目前什么都看不到"),
    "newcomers": ("{number} new friends see nothing yet", "{number} 位新好友目前什么都看不到"),
    # Circles
    "circles_title": ("Your circles", "您的圈子"),
    "circles_heading": ("These are your circles", "这些是您的圈子"),
    "circles_lead": (
        "Found from who knows whom. Do you recognise them? Correct what is wrong, or simply go on.",
        "根据好友之间谁认识谁找出来的。您认得出来吗？不对的可以改，也可以直接继续。",
    ),
    "circles_none": (
        "Your friends hardly know each other, so there are no circles. That is fine: you will be asked about people instead.",
        "您的好友之间很少互相认识，所以没有圈子。没有关系：向导会直接问您具体的好友。",
    ),
    "circles_go": ("Start answering", "开始回答"),
    "circles_hint": ("You can come back here at any time.", "您随时可以回到这里。"),
    "picture": (
        "Picture of your {number} friends in {circles} circles; the list says the same.",
        "{number} 位好友和 {circles} 个圈子的图；列表内容相同。",
    ),
    "picture_caption": (
        "{inside} of your {total} friends are in one of these circles; the others are grey.",
        "您的 {total} 位好友中有 {inside} 位属于这些圈子，其余为灰色。",
    ),
    "place_same": ("Circle {number}", "圈子 {number}"),
    "place_part": ("Part of circle {number}", "圈子 {number} 的一部分"),
    "place_most": ("Mostly in circle {number}", "大多在圈子 {number}"),
    "note_dismissed": (
        "“{circle}” is no group any more, and you are not asked about it.",
        "“{circle}”不再是圈子，也不会再询问。",
    ),
    "note_undo": ("Undo", "撤销"),
    "correct": ("Change", "修改"),
    "rename_label": ("Name of this circle", "圈子名称"),
    "rename": ("Rename", "改名"),
    "members_heading": ("Who is in it", "成员"),
    "members_lead": ("Tick those who do not belong here, then say where they go.", "勾选不属于这里的人，再选择他们的去处。"),
    "move_label": ("Move them to", "移动到"),
    "move": ("Move", "移动"),
    "split": ("Make a circle of their own", "单独成为一个圈子"),
    "merge_label": ("Make one circle of this and", "与另一个圈子合并"),
    "merge": ("Merge", "合并"),
    "dismiss_heading": ("Not a group?", "不是一个群体？"),
    "dismiss_lead": ("Then it is never shown or asked about again.", "那么以后不再显示，也不再询问。"),
    "dismiss": ("This is not a group", "这不是一个群体"),
    "dismissed": ("You said that this is not a group.", "您说过这不是一个群体。"),
    "restore": ("Bring it back", "恢复"),
    "problem_few": (
        "Tick at least three people for a circle of their own, and leave some.",
        "要单独成圈，请至少勾选三人，并留下一些人。",
    ),
    "problem_nobody": ("Tick at least one person first.", "请先勾选至少一人。"),
    "problem_name": ("Give the circle a name of up to 100 characters.", "请输入不超过 100 个字的名称。"),
    # Screens
    "progress_screen": ("Screen {number} of at most {most}", "第 {number} 屏，最多 {most} 屏"),
    "progress_extra": ("Screen {number}", "第 {number} 屏"),
    "progress_right": ("about {right} % of your settings are right by now", "目前约 {right}% 的设置已经正确"),
    "progress_first": ("Screen {number}.", "第 {number} 屏。"),
    "progress_say": ("Screen {number}. About {right} % right by now.", "第 {number} 屏。目前约 {right}% 正确。"),
    "note_overtaken": (
        "This question was answered already, perhaps in another window. Nothing was counted twice; go on here.",
        "这个问题已经回答过了（也许在另一个窗口）。没有重复计入，请从这里继续。",
    ),
    "note_undone": ("Taken back. Here is the question again.", "已撤销。请重新回答。"),
    "lead_audience": ("Roughly is enough. Who exactly they are comes next.", "大致即可，具体是谁接下来再问。"),
    "lead_circle": (
        "Think of this circle as a whole. Exceptions can be set later.",
        "请把这个圈子作为整体来想，例外以后可以单独设定。",
    ),
    "lead_circles": (
        "These answers tell the wizard most. Think of each group as a whole.",
        "这些回答最有帮助。请把每个群体作为整体来想。",
    ),
    "lead_item": (
        "Think of each circle as a whole. Exceptions can be set later.",
        "请把每个圈子作为整体来想，例外以后可以单独设定。",
    ),
    "lead_friend": ("What you say holds for this friend.", "您的回答对这位好友有效。"),
    "problem_nothing": (
        "You have not said anything yet. Choose an answer, fill in the suggestions, or press “Skip” to leave this screen out.",
        "您还没有作答。请选择一个回答、填入建议，或按“跳过”略过这一屏。",
    ),
    "suggest_open": ("Suggestion: {answer}", "建议：{answer}"),
    "suggest_sure": ("Suggestion, filled in: {answer}", "建议（已填入）：{answer}"),
    "not_sure": ("Not sure", "不确定"),
    "audience_nobody": ("Nobody", "没有人"),
    "audience_few": ("Few", "少数人"),
    "audience_half": ("Half", "约一半"),
    "audience_most": ("Most", "大多数"),
    "audience_everybody": ("All", "所有人"),
    "circle_none": ("None", "都不行"),
    "circle_some": ("Some", "一部分"),
    "circle_most": ("Most", "大多数"),
    "circle_all": ("All", "都可以"),
    "friend_allow": ("May see", "可以看"),
    "friend_deny": ("May not", "不可以"),
    "not_a_group": ("Not a group?", "不是一个群体？"),
    "confirm": ("Confirm", "确认"),
    "use_suggestions": ("Fill in suggestions", "填入建议"),
    "skip": ("Skip", "跳过"),
    "undo": ("Undo the last answer", "撤销上一个回答"),
    "review_now": ("Stop here and review", "到此为止，查看结果"),
    "why_ask": ("Why do you ask?", "为什么问这个？"),
    "why_gain": (
        "You have {cells:,} settings, one for each thing and friend; this screen should set about {gain} more of them right.",
        "每项资料对每位好友各有一项设置，共 {cells:,} 项；这一屏预计能让其中约 {gain} 项更符合您的意思。",
    ),
    "why_audience": (
        "How many may see a thing fixes its level for everybody at once; who they are is found out afterwards.",
        "先说明每项资料可以给多少好友看，就能一次确定总体范围；具体给谁看，之后再问。",
    ),
    "why_circle": (
        "What you say counts for the circle as a whole and sets nobody for certain; only “None” hides it from each of them.",
        "您的回答针对整个圈子，不会逐一确定其中的每个人；只有“都不行”会对其中每一个人隐藏。",
    ),
    "why_circles": (
        "These are the answers about groups that tell most. Only “None” hides a thing from each one in a group.",
        "关于这些群体的回答最能说明问题。只有“都不行”会对群体中的每一个人隐藏。",
    ),
    "why_item": (
        "These circles share nobody; what you say counts for each circle as a whole.",
        "这些圈子互不重叠；您的回答针对每个圈子整体。",
    ),
    "why_friend": (
        "What you say holds for this friend, and counts for friends like this one.",
        "您的回答对这位好友完全有效，并作为相似好友的参考。",
    ),
    "why_suggestion": (
        "The dashed answer is a suggestion, chosen for you only where the wizard is sure. Nothing counts before you confirm.",
        "虚线框是建议；只有在向导有把握时，才会替您选上。在您确认之前，什么都不算数。",
    ),
    # Review
    "review_title": ("Review", "查看结果"),
    "review_heading": ("This is what each friend would see", "好友将会看到这些"),
    "review_lead": (
        "A proposal. Change whatever you like; open a number to see every person, and why.",
        "这是一份建议，可以随意修改；点开数字可以看到每个人以及理由。",
    ),
    "review_first": (
        "You have not answered anything yet; one screen settles most of this.",
        "您还没有回答任何问题；答一屏就能确定大部分设置。",
    ),
    "review_begin": ("Answer the first screen", "回答第一屏"),
    "open_heading_one": ("1 choice waits for you", "1 个选择等您决定"),
    "open_heading": ("{number:,} choices wait for you", "{number:,} 个选择等您决定"),
    "open_lead": (
        "The wizard is not sure enough to show these, so they stay hidden until you decide.",
        "向导对这些没有足够把握，所以在您决定之前不会显示。",
    ),
    "open_more": ("These are the {first} largest of {groups} groups.", "以上是 {groups} 组中最大的 {first} 组。"),
    "open_all": ("Show all", "全部显示"),
    "more_screens": ("Answer more screens", "再回答几屏"),
    "matrix_heading": ("Who sees what", "谁能看到什么"),
    "matrix_lead": (
        "How many see each thing. Open a thing to see it circle by circle, and to change it.",
        "每项资料有多少人能看到。点开即可按圈子查看和修改。",
    ),
    "column_item": ("Thing", "资料"),
    "column_all": ("All friends", "全部好友"),
    "cell_all": ("All", "全部"),
    "cell_none": ("None", "无"),
    "cell_some": ("{shown}/{total}", "{shown}/{total}"),
    "tally": ("{shown} of {total} see it", "{total} 人中有 {shown} 人能看到"),
    "tally_open_one": ("1 waits for you", "1 处等您决定"),
    "tally_open": ("{number} wait for you", "{number} 处等您决定"),
    "state_allow": ("Shown", "可见"),
    "state_deny": ("Hidden", "不可见"),
    "state_ask": ("Hidden until you decide", "等您决定，暂不可见"),
    "reason_like": ("This goes by what you said about your {item}.", "这是根据您对{item}的回答推断的。"),
    "reason_weak": ("That is not enough yet to be sure.", "但这还不足以确定。"),
    "reason_open_one": ("It is not clear yet whether {friend} is among them.", "还不清楚{friend}是否在其中。"),
    "reason_open": ("It is not clear yet which of these are among them.", "还不清楚其中包括哪些人。"),
    "do_show": ("Show", "显示"),
    "do_hide": ("Hide", "隐藏"),
    "also_changed_one": (
        "1 other setting changed too. You see for whom before you accept.",
        "这还使另外 1 项设置发生了变化。接受之前可以看到具体是谁。",
    ),
    "also_changed": (
        "{number:,} other settings changed too: {shown:,} now shown, {hidden:,} no longer. You see for whom before you accept.",
        "这还使另外 {number:,} 项设置发生了变化：{shown:,} 项变为可见，{hidden:,} 项不再可见。接受之前可以看到具体是谁。",
    ),
    "undo_change": ("Undo the last change", "撤销上一次更改"),
    "set_cell": ("{item}, {friend}", "{item}，{friend}"),
    "set_group": ("{item}, {circle}", "{item}，{circle}"),
    "set_open_one": ("{item}, {circle}: 1 person who waits", "{item}，{circle}：待定的 1 人"),
    "set_open": ("{item}, {circle}: {number} people who wait", "{item}，{circle}：待定的 {number} 人"),
    "set_everybody": ("Set it for everybody in this circle at once", "一次设定这个圈子里的所有人"),
    "set_all_friends": ("Set it for all friends at once", "一次设定所有好友"),
    "group_heading": ("Who sees your {item}", "谁能看到您的{item}"),
    "by_circle": ("Circle by circle", "按圈子"),
    "circle_sees_one": ("What this person sees, item by item.", "这个人能看到的各项资料。"),
    "circle_sees": ("What these {number} people see, item by item.", "这 {number} 人能看到的各项资料。"),
    "view_as": ("See it as", "好友视角"),
    "view_as_label": ("A friend of yours", "选择一位好友"),
    "view_as_go": ("View", "查看"),
    "as_heading": ("What {friend} would see", "{friend}将会看到"),
    "as_lead": ("{shown} of {total} things.", "{total} 项资料中的 {shown} 项。"),
    "review_go": ("Looks right: go on", "没问题，继续"),
    # Accept
    "accept_title": ("Accept", "接受"),
    "accept_heading": ("Ready to put this in force?", "现在生效吗？"),
    "accept_lead": ("This is what changes. You can take it back afterwards.", "将会有这些变化。之后仍可以撤销。"),
    "accept_open_one": ("1 choice that you have not made stays hidden.", "您还没有决定的 1 处保持不可见。"),
    "accept_open": ("{number:,} choices that you have not made stay hidden.", "您还没有决定的 {number:,} 处保持不可见。"),
    "own_only_one": (
        "Leave out the 1 that is newly shown only because the wizard worked it out. It stays hidden for now.",
        "不包括由向导推算而新增可见的 1 处，暂时保持不可见。",
    ),
    "own_only": (
        "Leave out the {number:,} that are newly shown only because the wizard worked them out. They stay hidden for now.",
        "不包括由向导推算而新增可见的 {number:,} 处，暂时保持不可见。",
    ),
    "accept_go": ("Accept these settings", "接受这些设置"),
    "accept_back": ("Back to the review", "返回查看"),
    "column_today": ("See it today", "现在能看到"),
    "column_then": ("Will see it", "将能看到"),
    "gain": ("+{number} newly shown", "新增 {number} 人可见"),
    "loss": ("−{number} no longer shown", "{number} 人不再可见"),
    "gain_who": ("Newly shown to", "新增可见"),
    "loss_who": ("No longer shown to", "不再可见"),
    "no_change": ("No change", "没有变化"),
    "note_taken_back": ("Taken back: what was in force before is in force again.", "已撤销：恢复为之前的设置。"),
    "note_changed": ("Something changed since you looked at it. Please look again.", "您查看之后有了变化，请再看一遍。"),
    "done_title": ("Done", "完成"),
    "done_heading": ("Your settings are in force", "设置已生效"),
    "done_lead": (
        "From now on this holds. New friends see nothing until you say so.",
        "从现在起按此执行。新好友在您同意之前什么都看不到。",
    ),
    "done_summary": ("In short", "概要"),
    "take_back": ("Take it back", "撤销"),
    "change_more": ("Change something", "继续修改"),
    "print": ("Print", "打印"),
    "export": ("Download my data", "下载我的数据"),
    "delete": ("Delete my data", "删除我的数据"),
    # A new friend
    "new_title": ("A new friend", "新好友"),
    "new_heading": ("What may {friend} see?", "{friend}可以看到什么？"),
    "new_lead": (
        "New friends see nothing until you decide. These are suggestions.",
        "新好友在您决定之前什么都看不到。以下是建议。",
    ),
    "new_suggest_allow": ("Suggestion: may see.", "建议：可以看。"),
    "new_suggest_deny": ("Suggestion: may not.", "建议：不可以。"),
    "new_suggest_ask": ("No suggestion: hidden until you decide.", "没有建议：在您决定之前不可见。"),
    "new_accept": ("Accept", "接受"),
    "new_later": ("Decide later", "以后再说"),
    # Delete
    "delete_title": ("Delete your data?", "删除您的数据？"),
    "delete_lead": (
        "Your answers, your circles and your settings are deleted everywhere. Nobody sees anything afterwards.",
        "您的回答、圈子和设置都会被彻底删除。之后没有人能看到任何资料。",
    ),
    "delete_go": ("Delete everything", "全部删除"),
    "delete_keep": ("Keep it", "保留"),
    "deleted_title": ("Everything is deleted", "已全部删除"),
    "deleted_lead": ("You can close this window.", "您可以关闭此窗口。"),
    # When something is wrong
    "missing_title": ("This is not here any more", "这里已经没有这项内容"),
    "missing_lead": ("Perhaps a circle or a friend changed in the meantime.", "也许圈子或好友在此期间有了变化。"),
    "busy_title": ("One moment, please", "请稍等"),
    "busy_lead": (
        "Many people are here just now. Nothing was changed; go back and try again in a moment.",
        "现在使用的人很多。没有做任何更改，请返回后稍候再试。",
    ),
    "refused_title": ("This form is not yours", "这份表单不属于您"),
    "refused_lead": (
        "It was opened by another user of this browser. Nothing was changed. Open the wizard again from your social network.",
        "它是由使用此浏览器的另一位用户打开的，没有做任何更改。请从您的社交网络重新打开向导。",
    ),
    "expired_title": ("Please open the wizard again", "请重新打开向导"),
    "expired_lead": (
        "This link does not work, or the wizard was closed for your safety. What you have confirmed is kept.",
        "此链接无效，或者向导为了您的安全已经关闭。您已确认的内容都已保存。",
    ),
    "expired_open": (
        "Go to your social network and open the privacy wizard there.",
        "请到您的社交网络，从那里打开隐私向导。",
    ),
    "expired_first": (
        "Open the privacy wizard from your social network, in another tab.",
        "请在另一个标签页中，从您的社交网络打开隐私向导。",
    ),
    "expired_then": ("Come back to this tab and send what you filled in.", "然后回到此标签页，发送您填写的内容。"),
    "expired_send": ("Send what I filled in", "发送我填写的内容"),
}
"""Key -> English and Chinese. A key that ends in ``_one`` is said instead where ``number`` is 1."""


def tell(key: str, language: str, **values: object) -> str:
    """Return one text, with its gaps filled.

    >>> tell("people", "en", number=1), tell("people", "en", number=2), tell("people", "zh", number=2)
    ('1 person', '2 people', '2 人')
    """
    if values.get("number") == 1 and f"{key}_one" in TEXTS:
        key = f"{key}_one"
    return TEXTS[key][check_language(language) == "zh"].format(**values)
