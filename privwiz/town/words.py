"""Words that the people, places and institutions of a synthetic town are named with; all composed for this project."""

from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

__all__ = [
    "CITIES",
    "CLUBS",
    "CLUBS_HAN",
    "CONCENTRATIONS",
    "CONCENTRATIONS_HAN",
    "EMPLOYER_WORDS",
    "EMPLOYER_WORDS_HAN",
    "FEMALE",
    "FEMALE_HAN",
    "INDUSTRIES",
    "INDUSTRIES_HAN",
    "LAST",
    "LAST_HAN",
    "MALE",
    "MALE_HAN",
    "PLACES",
    "PLACES_HAN",
    "SCHOOLS",
    "SCHOOLS_HAN",
    "STREETS",
    "STREETS_HAN",
    "UNIVERSITIES",
    "shuffled_names",
]


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Split ``"林:Lin 陈:Chen"`` into pairs of Chinese characters and pinyin."""
    return tuple((han, latin) for han, latin in (pair.split(":") for pair in text.split()))


FEMALE = tuple(
    "Alma Amelia Anna Beatrice Bella Carol Cecily Clara Daisy Della Edith Eleanor Elsie Emily Esme Eva Faith Flora Freya "
    "Gemma Grace Hannah Harriet Hazel Helen Holly Imogen Iris Ivy Jane Jess Joan Judith Julia Kate Laura Leah Lily Lucy "
    "Mabel Maeve Maggie Martha Mary Maud Megan Mina Molly Nell Nina Nora Olive Paula Pearl Phoebe Polly Rhoda Rosa Rose "
    "Ruby Ruth Sadie Sally Sarah Selma Sophie Stella Tess Una Vera Violet Wanda Willa Winnie Zoe".split()
)
MALE = tuple(
    "Aaron Abel Adam Albert Alfred Amos Arthur Barney Basil Ben Caleb Charlie Clement Colin Daniel David Dexter Edgar "
    "Edmund Edward Eli Ellis Ernest Felix Finn Frank Fred George Gilbert Gus Harry Henry Hugh Isaac Jack Jacob James Jasper "
    "Jonah Joseph Julian Kit Leo Lewis Louis Luke Martin Matthew Max Miles Nathan Ned Noah Oliver Oscar Otis Owen Patrick "
    "Paul Percy Peter Ralph Reuben Robin Rory Rufus Samuel Silas Simon Stanley Theo Thomas Toby Victor Walter Wilfred "
    "William".split()
)
LAST = tuple(
    "Abbott Archer Ashby Atwood Barlow Beckett Birch Blythe Bowen Bramley Brook Calder Carver Chandler Clay Cobb Croft Dale "
    "Dawson Draper Dunn Easton Elwood Fairley Fenn Fletcher Fordham Frost Gale Garland Gibb Glover Granger Hale Harding "
    "Hartley Hawke Heath Holt Hurst Ingram Kemp Kerr Lacey Langley Larkin Linden Locke Marsh Mercer Merrick Nash Norwood "
    "Oakley Orchard Paget Palmer Penrose Pike Pollard Quill Radley Redfern Ridley Rowe Sawyer Sefton Shaw Sparrow Stroud "
    "Swift Tate Thorne Tilley Underhill Vane Wainwright Waverley Weaver Whitlock Wilde Winslow Yardley".split()
)
FEMALE_HAN = _pairs(
    "美:Mei 静:Jing 雪:Xue 晓雯:Xiaowen 雨桐:Yutong 佳怡:Jiayi 丽华:Lihua 秀英:Xiuying 婷:Ting "
    "欣:Xin 慧:Hui 兰:Lan 玉珍:Yuzhen 思琪:Siqi 梦瑶:Mengyao 芳:Fang 燕:Yan 琳:Lin 月:Yue "
    "紫萱:Zixuan 诗涵:Shihan 若曦:Ruoxi 淑芬:Shufen 春梅:Chunmei 冬梅:Dongmei 晴:Qing "
    "文静:Wenjing 巧云:Qiaoyun 依依:Yiyi 可心:Kexin"
)
MALE_HAN = _pairs(
    "伟:Wei 强:Qiang 磊:Lei 军:Jun 勇:Yong 杰:Jie 涛:Tao 明:Ming 超:Chao 建国:Jianguo "
    "志强:Zhiqiang 国平:Guoping 海洋:Haiyang 子轩:Zixuan 浩然:Haoran 宇航:Yuhang 俊杰:Junjie "
    "天佑:Tianyou 文博:Wenbo 家豪:Jiahao 振华:Zhenhua 立新:Lixin 鹏:Peng 斌:Bin 刚:Gang 睿:Rui "
    "晨:Chen 一凡:Yifan 思远:Siyuan 德明:Deming"
)
LAST_HAN = _pairs(
    "林:Lin 陈:Chen 黄:Huang 周:Zhou 吴:Wu 徐:Xu 孙:Sun 胡:Hu 朱:Zhu 高:Gao 何:He 郭:Guo "
    "罗:Luo 梁:Liang 宋:Song 郑:Zheng 谢:Xie 韩:Han 唐:Tang 冯:Feng 于:Yu 董:Dong 萧:Xiao "
    "程:Cheng 曹:Cao 袁:Yuan 邓:Deng 许:Xu 傅:Fu 沈:Shen 曾:Zeng 彭:Peng 吕:Lyu"
)

PLACES = tuple(
    f"{head}{tail}"
    for head in "Mill Ash Alder Kings Fern Hazel Lark Marl Otter Penny Raven Stone Thorn Wind Wren".split()
    for tail in "brook ford haven mere field bury".split()
)
PLACES_HAN = tuple(
    f"{head}{tail}" for head in "青 云 白 金 梅 松 柳 清 石 东 南 望".split() for tail in "溪 湖 桥 湾 河 岭 塘 浦".split()
)
CITIES = ("Port Selwyn", "Halloway", "New Carrick", "Saint Orrin", "海州", "临江", "北原", "Vantry", "Lowmoor", "西屏")
STREETS = tuple(
    f"{head} {tail}"
    for head in "Church Mill Station Orchard Bridge Garden Chapel Meadow Harbour Quarry Elm Willow Market School Tanner".split()
    for tail in "Lane Road Street Close Row".split()
)
STREETS_HAN = tuple(
    f"{head}{tail}"
    for head in "和平 建设 桂花 长虹 新民 花园 文昌 解放 滨河 学府 竹园 朝阳".split()
    for tail in "路 街 巷 里".split()
)

SCHOOLS = ("High School", "Grammar School", "Academy", "Community College", "Girls' and Boys' School")
SCHOOLS_HAN = ("中学", "第二中学", "实验中学", "外国语学校", "第三中学")
UNIVERSITIES = (
    "Northgate University",
    "临江大学",
    "University of Port Selwyn",
    "Halloway Institute of Technology",
    "海州师范大学",
    "Carrick College",
    "北原理工大学",
    "Saint Orrin University",
)
CONCENTRATIONS = (
    "Economics",
    "Computer Science",
    "Nursing",
    "History",
    "Law",
    "Biology",
    "Mechanical Engineering",
    "Education",
    "Psychology",
    "Music",
    "Accounting",
    "English",
)
CONCENTRATIONS_HAN = (
    "经济学",
    "计算机科学",
    "护理学",
    "历史学",
    "法学",
    "生物学",
    "机械工程",
    "教育学",
    "心理学",
    "音乐",
    "会计学",
    "英语",
)

EMPLOYER_WORDS = tuple(
    "Brightwell Redstone Kestrel Greenway Oakfield Silverline Tidewater Northlight Harrow Juniper Copperleaf Bluegate "
    "Fairmile Hollis Larkspur Summit Willowbank Ironbridge Daybreak Sandpiper Foxglove Riverbend Whitestone Cloverleaf "
    "Amberly".split()
)
EMPLOYER_WORDS_HAN = tuple("华兴 远航 恒泰 晨光 宏图 瑞丰 天成 安康 金桥 百川 同济 春雨 永信 飞跃 星河 大地 明德 四海".split())
# What an employer does, its teams, and what people are there.
INDUSTRIES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("Foods", ("kitchen", "packing", "sales", "office"), ("Cook", "Packer", "Sales assistant", "Clerk")),
    ("Hospital", ("ward 1", "ward 2", "theatre", "reception"), ("Nurse", "Doctor", "Technician", "Receptionist")),
    ("Software", ("platform", "apps", "support", "design"), ("Developer", "Designer", "Support engineer", "Tester")),
    ("School Trust", ("lower school", "upper school", "office"), ("Teacher", "Teaching assistant", "Librarian")),
    ("Motors", ("workshop", "showroom", "parts"), ("Mechanic", "Sales assistant", "Store keeper")),
    ("Bank", ("counter", "loans", "back office"), ("Cashier", "Adviser", "Analyst")),
    ("Hotel", ("front desk", "kitchen", "rooms"), ("Receptionist", "Cook", "Housekeeper")),
    ("Builders", ("site A", "site B", "yard", "office"), ("Joiner", "Electrician", "Bricklayer", "Surveyor")),
    ("Books", ("shop", "warehouse"), ("Bookseller", "Buyer", "Store keeper")),
    ("Transport", ("north depot", "south depot", "office"), ("Driver", "Dispatcher", "Fitter")),
)
INDUSTRIES_HAN: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("食品厂", ("一车间", "二车间", "销售部"), ("工人", "质检员", "销售员")),
    ("医院", ("内科", "外科", "门诊"), ("护士", "医生", "药师")),
    ("科技", ("研发部", "产品部", "客服部"), ("工程师", "产品经理", "客服")),
    ("小学", ("低年级组", "高年级组"), ("教师", "班主任")),
    ("银行", ("营业部", "信贷部"), ("柜员", "客户经理")),
    ("物流", ("东区", "西区", "调度室"), ("司机", "调度员", "仓管员")),
    ("建筑", ("一队", "二队", "设计室"), ("木工", "电工", "设计师")),
)
CLUBS = (
    "Rowing Club",
    "Choir",
    "Football Club",
    "Chess Circle",
    "Running Club",
    "Drama Group",
    "Photography Club",
    "Gardeners",
    "Book Club",
    "Climbing Club",
    "Brass Band",
    "Board Games Evening",
    "Tennis Club",
    "Swimming Club",
    "Pottery Studio",
)
CLUBS_HAN = (
    "太极社",
    "合唱团",
    "羽毛球队",
    "书法社",
    "读书会",
    "广场舞队",
    "徒步队",
    "围棋社",
    "摄影社",
    "篮球队",
    "茶友会",
    "骑行队",
)


def shuffled_names(names: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    """Yield the names in random order, without end: when they run out, again with a number.

    >>> names = shuffled_names(["Elm Row"], np.random.default_rng(0))
    >>> next(names), next(names)
    ('Elm Row', 'Elm Row 2')
    """
    for turn in count(1):
        for k in rng.permutation(len(names)).tolist():
            yield names[k] if turn == 1 else f"{names[k]} {turn}"
