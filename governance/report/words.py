"""language, key -> the words of a document; numbers, rates and statuses as a reader sees them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from governance.errors import UsageError

LANGUAGES = ("en", "zh")

WORDS: dict[str, tuple[str, str]] = {
    "accepted": ("accepted", "已接受"),
    "bytes": ("bytes", "字节"),
    "characters": ("characters", "字符"),
    "characters_per_sample": ("characters per sample, from", "每条样本的字符数（起）"),
    "check_how": ("How to check this report", "如何核验本报告"),
    "check_identity": (
        "The dataset is named by a digest over every sample and its metadata, and each file by its SHA-256 above. "
        "Any change to a text or its metadata gives another digest, and this verdict does not hold for it.",
        "数据集以覆盖全部样本与元数据的摘要标识，每个文件以上述 SHA-256 标识。"
        "文本或元数据的任何变化都会得到不同摘要，本结论即不再适用。",
    ),
    "check_numbers": (
        "Every number here is read from evidence.json in the folder of the run; this page adds none of its own.",
        "本页所有数字均取自运行目录中的 evidence.json，页面本身不增加任何数字。",
    ),
    "check_signature": (
        "Checks the signature of the verdict, the digests of all files of the run, and the expiry.",
        "核验结论的签名、运行目录中全部文件的摘要与有效期。",
    ),
    "check_show": (
        "Prints flagged places with their text from the dataset store; secrets and personal data stay masked.",
        "从数据集存储中打印所标位置及其文本；密钥与个人信息保持遮蔽。",
    ),
    "checked": ("checked", "检查数"),
    "checklist": ("Compliance checklist", "合规清单"),
    "checklist_caption": (
        "Items that this run can answer, and those it cannot. Not checked is not met.",
        "本次运行能够回答的条目与不能回答的条目。未检查不等于满足。",
    ),
    "class_B": ("blocks", "阻断"),
    "class_I": ("informs", "参考"),
    "class_W": ("blocks unless waived", "可豁免"),
    "cluster_sizes": ("Sizes of clusters", "簇的大小"),
    "clusters": ("clusters", "簇"),
    "command": ("Command", "命令"),
    "copies_removed": ("copies that a kept sample stands for", "可由保留样本代表的副本"),
    "created": ("Made", "生成时间"),
    "criteria": ("Acceptance criteria per sample", "每条样本的验收标准数"),
    "criteria_distinct": ("Acceptance criteria per distinct sample", "每条不同样本的验收标准数"),
    "criteria_axis": ("criteria", "验收标准数"),
    "dataset": ("Dataset", "数据集"),
    "declared": ("declared", "声明"),
    "demanded_by": ("Demanded by", "依据"),
    "digest": ("Digest", "摘要"),
    "distinct": ("distinct", "不同样本"),
    "duplicates": ("Duplicates", "重复"),
    "stricter_licences": (
        "clusters in which a copy has a stricter licence than the kept sample; `governance clean` writes it there",
        "个簇中有副本的许可证比保留样本更严格；`governance clean` 会把它写入保留样本",
    ),
    "renamed_copies": (
        "kept samples are renamed copies: the code of another one under other names, numbers and strings",
        "条保留样本是改名副本：与另一条的代码相同，仅名称、数字或字符串不同",
    ),
    "duplicates_caption": ("Largest clusters", "最大的簇"),
    "effective": ("effective", "有效"),
    "encoding": ("Encoding", "编码"),
    "exact": ("exact", "完全相同"),
    "expires": ("Expires", "有效期至"),
    "failed": ("failed", "未通过数"),
    "file": ("File", "文件"),
    "files": ("Files", "文件"),
    "files_caption": ("Files of the dataset, as they were read", "读取时的数据集文件"),
    "findings": ("Findings", "发现"),
    "findings_none": ("No rule flagged anything.", "没有规则标出任何内容。"),
    "findings_note": (
        "Spans of rules on secrets and personal data are never shown, nor any span that such a finding touches.",
        "密钥与个人信息规则所标内容从不显示；与其相交的任何内容也不显示。",
    ),
    "first_of": ("first {shown} of {all}", "共 {all} 处，列出前 {shown} 处"),
    "format": ("Format", "格式"),
    "gate": ("Gate", "门禁"),
    "gates": ("Gates", "门禁"),
    "gates_caption": (
        "Each gate with what was counted, out of how many, and the most that may be",
        "每个门禁的计数、检查对象数与上限",
    ),
    "hidden": ("not shown", "不显示"),
    "identity": ("What this verdict is about", "本结论的对象"),
    "in_sample": ("in 1 sample", "涉及 1 条样本"),
    "in_samples": ("in {n} samples", "涉及 {n} 条样本"),
    "item": ("Item", "条目"),
    "kept": ("Kept", "保留"),
    "languages": ("Languages", "语言"),
    "largest": ("largest cluster", "最大簇"),
    "ledger": ("Account of rows", "行数账目"),
    "ledger_changed": ("Changed", "修改"),
    "ledger_dropped": ("Dropped", "删除"),
    "ledger_in": ("Records before", "清理前记录"),
    "ledger_kept": ("Kept as they were", "原样保留"),
    "lengths": ("Lengths of samples", "样本长度"),
    "lexemes": ("equal but for white space", "仅空白不同"),
    "limit": ("Limit", "上限"),
    "line": ("line", "行"),
    "missed": ("missed", "未找到"),
    "more": ("and {n} more", "另有 {n} 处"),
    "more_files": ("and {n} more files, listed in evidence.json", "另有 {n} 个文件，见 evidence.json"),
    "more_items": ("Items that this run does not answer", "本次运行未回答的条目"),
    "more_rules": ("and {n} more rules, listed in evidence.json", "另有 {n} 条规则，见 evidence.json"),
    "most_repeated": ("copies of the most repeated", "重复最多者的份数"),
    "most_repeated_place": ("Most repeated", "重复最多"),
    "near": ("near", "近似"),
    "no_duplicates": ("No sample repeats another.", "没有重复的样本。"),
    "not_measured": ("not measured", "未测量"),
    "not_required": ("not required", "非必需"),
    "of_records": ("records", "条记录"),
    "of_routes": ("routes", "条路由"),
    "of_samples": ("samples", "条样本"),
    "of_stories": ("stories", "个故事"),
    "overlap": ("Overlap", "重叠"),
    "overlap_allowed": ("allowed", "允许"),
    "overlap_caption": ("Sources that most samples share text with", "与最多样本共享文本的来源"),
    "overlap_class": ("Class", "类别"),
    "overlap_class_containment": ("mostly contained", "大部分包含"),
    "overlap_class_held-out": ("in the held-out set", "出现在留出集中"),
    "overlap_class_item": ("benchmark item", "基准测试题目"),
    "overlap_class_item-renamed": ("benchmark item, renamed", "基准测试题目（改名）"),
    "overlap_class_item-secondary": ("like a benchmark item that a better hit names", "与更佳命中处的题目相似"),
    "overlap_class_item-rephrased": ("benchmark item, perhaps rephrased", "基准测试题目（可能改写）"),
    "overlap_class_renamed": ("renamed copy", "改名副本"),
    "overlap_class_split": ("in another part", "出现在另一部分"),
    "overlap_class_verbatim": ("word for word", "逐字相同"),
    "overlap_compared": ("Compared with", "比较对象"),
    "overlap_items": (
        "benchmark items, {n} of them too common to judge by",
        "道基准测试题目，其中 {n} 道过于常见、无法判断",
    ),
    "overlap_licence": ("Licence", "许可证"),
    "overlap_licence_none": ("not known", "未知"),
    "overlap_longest": ("Longest run, lexemes", "最长片段（词元）"),
    "overlap_nothing": ("Nothing is shared with what was compared.", "与比较对象没有共享内容。"),
    "overlap_samples": ("samples that share text with a source", "与来源共享文本的样本"),
    "overlap_source": ("Source", "来源"),
    "pipeline": ("Pipeline", "流水线"),
    "policy": ("Policy", "策略"),
    "policy_none": ("none", "无"),
    "probes": ("Probes", "探针"),
    "probes_value": ("{found} of {planted} found", "{planted} 个中找到 {found} 个"),
    "quarantine": ("Quarantine", "隔离"),
    "quarantined": ("quarantined", "已隔离"),
    "reasons": ("Why it is closed", "关闭原因"),
    "records": ("records", "记录"),
    "removed": ("Copies", "副本"),
    "report": ("Verdict on a dataset", "数据集结论"),
    "row": ("row", "行号"),
    "rules": ("Rules", "规则"),
    "rules_value": ("{count} in {packs}", "{packs} 共 {count} 条"),
    "run": ("Run", "运行"),
    "samples": ("samples", "样本"),
    "shape": ("Shape", "结构"),
    "shapes": ("Shape of the data", "数据概貌"),
    "size": ("Size", "大小"),
    "status": ("Status", "状态"),
    "threshold": ("threshold", "阈值"),
    "to_mend": ("To mend", "补救"),
    "tool": ("Tool", "工具"),
    "value": ("Number", "数值"),
    "verdict": ("Verdict", "结论"),
    "why": ("Why", "说明"),
    "worst": ("Worst places", "最严重的位置"),
    "CLOSED": ("CLOSED", "关闭"),
    "ERROR": ("error", "出错"),
    "FAILED": ("failed", "未通过"),
    "NOT_RUN": ("not run", "未运行"),
    "PASSED": ("PASSED", "通过"),
    "WAIVED": ("waived", "已豁免"),
    "WARNED": ("warned", "警告"),
    "gate_PASSED": ("passed", "通过"),
    "met": ("met", "满足"),
    "not_applicable": ("not applicable", "不适用"),
    "not_checked": ("not checked", "未检查"),
    "not_met": ("not met", "不满足"),
    "closed_says": (
        "This dataset must not be used for training. {n} reasons, all of them:",
        "该数据集不得用于训练。全部 {n} 条原因：",
    ),
    "closed_says_one": (
        "This dataset must not be used for training. The one reason:",
        "该数据集不得用于训练。唯一原因：",
    ),
    "passed_says": (
        "Every required gate holds for exactly this dataset under exactly this pipeline.",
        "在该流水线下，所有必需的门禁对该数据集均成立。",
    ),
    "severity_error": ("error", "错误"),
    "severity_info": ("info", "提示"),
    "severity_warning": ("warning", "警告"),
    "clusters_axis": ("samples in the cluster", "簇内样本数"),
    "all_rows": ("All", "全部"),
    "copies_all": ("equal or near", "相同或近似"),
    "copies_axis": ("copies of a row in the dataset, itself included", "该行在数据集中的副本数（含自身）"),
    "copies_head": ("Copies", "副本数"),
    "copies_exact": ("equal texts", "文本相同"),
    "copies_note": (
        "Copies of a row are the samples of its cluster, itself included; those with equal texts are counted beside.",
        "一行的副本指其所在簇的样本（含自身）；文本相同者另行计数。",
    ),
    "copies_study": (
        "Why it matters: after fine-tuning, StarCoder2-3B gave back word for word 4.9 % of the passages that "
        "stood once in its data, 23.7 % of those that stood twice, 45.1 % at three times and 63.1 % above "
        "(recounted from the published outputs of Salerno, Al-Kaswan and Izadi, MSR 2025, arXiv:2501.17501).",
        "为何重要：微调后的 StarCoder2-3B 能逐字复现数据中出现一次的片段的 4.9 %、出现两次的 23.7 %、三次的 45.1 "
        "%、三次以上的 63.1 %（据 Salerno、Al-Kaswan 与 Izadi 发表的输出重新统计，MSR 2025，arXiv:2501.17501）。",
    ),
    "copies_title": ("Rows by number of copies", "按副本数划分的行"),
    "groups_left": ("{n} more together", "其余 {n} 个合计"),
    "no_name": ("none named", "未注明"),
    "percent_of_rows": ("% of rows", "占行数的 %"),
    "removal_caption": ("What removing the copies costs", "删除副本的代价"),
    "repository": ("Repository", "仓库"),
    "rows_after": ("Rows after", "删除后行数"),
    "rows_before": ("Rows before", "删除前行数"),
    "rows_removed": ("Rows removed", "删除行数"),
    "search_exact": (
        "Searched by the exact join at similarity {threshold}: {compared} pairs were compared, {pairs} reach it. "
        "Every sample that reaches it with a kept one is found, and similarities are counted, not estimated: "
        "recall is 1 by construction.",
        "以精确连接检索，相似度阈值 {threshold}：比较 {compared} 对，其中 {pairs} 对达到阈值。凡与保留样本达到阈"
        "值者均被找到，相似度为精确计数而非估计，召回率按构造为 1。",
    ),
    "search_measured": (
        "For {n} samples it found {recall} of the {pairs} pairs that an exact search has.",
        "对 {n} 条样本，找到精确检索所得 {pairs} 对中的 {recall}。",
    ),
    "search_minhash": (
        "Searched by MinHash at similarity {threshold}: {permutations} permutations in {bands} bands of {rows}, "
        "{compared} pairs compared exactly, {pairs} reach it. Expected recall at the threshold: {recall}.",
        "以 MinHash 检索，相似度阈值 {threshold}：{permutations} 个置换，{bands} 段每段 {rows} 行，精确比较 "
        "{compared} 对，其中 {pairs} 对达到阈值。阈值处的预期召回率：{recall}。",
    ),
    "sizes_caption": ("Clusters by size", "按大小划分的簇"),
    "step": ("Step", "步骤"),
    "words_after": ("Words after", "删除后词数"),
    "words_before": ("Words before", "删除前词数"),
    "words_lost": ("Words lost", "损失的词"),
}
"""Key -> English, Chinese."""


class Words:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise UsageError(f"language {language!r} is unknown; known are {', '.join(LANGUAGES)}")
        self.language = language
        self._index = LANGUAGES.index(language)

    def __call__(self, key: str, **values: object) -> str:
        """Return the words for *key*, filled with *values*."""
        text = WORDS[key][self._index]
        return text.format(**values) if values else text

    def pick(self, entry: Mapping[str, Any], key: str) -> str:
        """Return ``key`` of *entry* in this language; English where it has no Chinese."""
        chinese = entry.get(f"{key}_zh") if self.language == "zh" else None
        return str(chinese or entry.get(key) or "")


def number(value: float | None) -> str:
    """
    Return a count with thousands, a fraction with at most three decimals.

    >>> number(3438), number(2.5), number(None)
    ('3,438', '2.5', '')
    """
    if value is None:
        return ""
    if float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.3f}".rstrip("0")


def rate(value: float) -> str:
    """
    Return a share as percent; one that is not 0 or 1 never reads as 0 % or 100 %.

    >>> rate(0.625945), rate(0.001745), rate(0.0), rate(0.00001), rate(0.99999)
    ('62.59 %', '0.1745 %', '0 %', '< 0.01 %', '> 99.99 %')
    """
    if 0 < value < 0.00005:
        return "< 0.01 %"
    if 0.99995 < value < 1:
        return "> 99.99 %"
    return f"{value * 100:.4g} %"


def measured(value: float | None, unit: str) -> str:
    """Return a measured value in its unit (``rate`` or a count); empty for None or NaN, which is not measured."""
    if value is None or math.isnan(value):
        return ""
    return rate(value) if unit == "rate" else number(value)


def limit(value: float | None, unit: str) -> str:
    """
    Return a limit as the pipeline says it; rounding a limit would misstate it.

    >>> limit(0.00012, "rate"), limit(0, "count")
    ('0.012 %', '0')
    """
    if value is None:
        return ""
    return f"{value * 100:.10g} %" if unit == "rate" else f"{value:,.10g}"
