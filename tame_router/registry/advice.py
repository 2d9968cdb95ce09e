"""What each reason means and what to do about it; docs/adapters-reasons.md shows the same."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tame_router.registry.finding import Finding
from tame_router.registry.reason import Reason


@dataclass(frozen=True, slots=True)
class Advice:
    """Of one reason.

    Attributes:
        meaning: What is wrong.
        advice: What to do.
    """

    meaning: str
    advice: str


def found(reason: Reason, message: str, path: str = "", *, fatal: bool = True) -> Finding:
    """Make a finding, with the advice that belongs to its reason.

    Args:
        reason: Its code.
        message: What is wrong and the value seen.
        path: The file it is about; empty: the revision as a whole.
        fatal: The revision is refused for it.
    """
    return Finding(
        reason=reason, message=message, advice=ADVICE[reason].advice, path=path, fatal=fatal
    )


_NEW = "save the adapter again with PEFT's `save_pretrained`, which writes a whole file"

ADVICE: Mapping[Reason, Advice] = MappingProxyType(
    {
        # Paths and files
        Reason.PATH_UNSAFE: Advice(
            "A path is empty, absolute, leaves its folder, holds characters that no file here"
            " has, or is a symbolic link or another thing that is no plain file.",
            "send plain files, named as PEFT names them, that lie in the folder itself",
        ),
        Reason.PATH_TWICE: Advice(
            "Two files have the same path, or paths that differ in case alone.",
            "send each file once",
        ),
        Reason.PICKLE_REFUSED: Advice(
            "A file is a Python pickle, which runs code when it is read, whatever it is called.",
            "save the weights as safetensors: `save_pretrained(…, safe_serialization=True)`",
        ),
        Reason.ARCHIVE_REFUSED: Advice(
            "A file is an archive; nothing is unpacked here.",
            "send the files that are in it",
        ),
        Reason.FILE_UNEXPECTED: Advice(
            "An adapter has no such file. As a note: the file is kept, and has no effect.",
            "leave it out; the documentation lists the files of an adapter",
        ),
        Reason.FILE_MISSING: Advice(
            "A file that must be there is not.",
            "send the whole folder that PEFT saved; a new expert has files of its own besides",
        ),
        Reason.FILE_EMPTY: Advice("A file has no bytes.", "write it, or leave it out"),
        Reason.FILE_TOO_LARGE: Advice(
            "A file is larger than one of its kind may be.",
            "make it smaller; for weights the operator's `registry.max_file_bytes` counts",
        ),
        Reason.TOO_MANY_FILES: Advice(
            "There are more files than an adapter can have.", "send the adapter's files alone"
        ),
        Reason.UPLOAD_TOO_LARGE: Advice(
            "All files together are larger than an upload may be.",
            "train with a smaller rank, or ask the operator about `registry.max_upload_bytes`",
        ),
        Reason.SIZE_MISMATCH: Advice(
            "A file has more or fewer bytes than announced.",
            "let nothing write to the folder while it is sent, and send it again",
        ),
        Reason.DIGEST_MISMATCH: Advice(
            "The bytes that came are not those that were announced.",
            "send it again; if it happens again, check memory and disk on the way",
        ),
        # Safetensors header
        Reason.HEADER_TRUNCATED: Advice("The weights end before, or in, their header.", _NEW),
        Reason.HEADER_TOO_LARGE: Advice(
            "The header of the weights says that it is larger than any adapter's.", _NEW
        ),
        Reason.HEADER_NOT_JSON: Advice("The header of the weights is not JSON.", _NEW),
        Reason.HEADER_KEY_TWICE: Advice(
            "A name stands twice in the header of the weights; readers would differ.", _NEW
        ),
        Reason.HEADER_MALFORMED: Advice(
            "The header of the weights is JSON, and not a safetensors header.", _NEW
        ),
        Reason.TENSOR_DTYPE: Advice(
            "A tensor's numbers are of a kind that adapters do not have.",
            "save the weights as BF16, F16 or F32",
        ),
        Reason.TENSOR_OFFSETS: Advice(
            "A tensor lies outside the file, or ends before it begins.", _NEW
        ),
        Reason.TENSOR_OVERLAP: Advice("Two tensors share bytes.", _NEW),
        Reason.TENSOR_GAP: Advice("Bytes between, or behind, the tensors belong to none.", _NEW),
        Reason.TENSOR_SIZE: Advice(
            "A tensor's bytes are not as many as its shape needs, or it has no numbers.", _NEW
        ),
        Reason.NO_TENSORS: Advice("The weights hold no tensor.", _NEW),
        Reason.TOO_MANY_TENSORS: Advice(
            "The weights hold more tensors than an adapter can have.",
            "send an adapter, not a whole model",
        ),
        # adapter_config.json
        Reason.CONFIG_NOT_JSON: Advice(
            "`adapter_config.json` is not JSON, or a name stands twice in it.",
            "send the file that PEFT wrote",
        ),
        Reason.CONFIG_MALFORMED: Advice(
            "`adapter_config.json`, or `training.json`, says something of the wrong kind.",
            "send the file that PEFT, or the training recipe, wrote",
        ),
        Reason.PEFT_TYPE: Advice(
            "The adapter is not of the type LORA.", "train a LoRA adapter; engines load no other"
        ),
        Reason.RANK_INVALID: Advice(
            "A rank is not a whole number of at least 1.", "set `r` and `rank_pattern` in training"
        ),
        Reason.RANK_TOO_LARGE: Advice(
            "A rank is larger than the engines are set up for.",
            "train with a smaller `r`, or ask the operator about `engine.max_lora_rank`",
        ),
        Reason.ALPHA_INVALID: Advice(
            "An alpha is not a number above 0 and at most 65,536.",
            "set `lora_alpha` and `alpha_pattern` in training; twice the rank is usual",
        ),
        Reason.TARGET_MODULES: Advice(
            "A target module does not exist in the base model, or is one engines cannot adapt.",
            "name linear layers of the base model, such as q_proj, v_proj, down_proj",
        ),
        Reason.MODULES_TO_SAVE: Advice(
            "The adapter brings whole modules of its own, which engines cannot load.",
            "train without `modules_to_save`",
        ),
        Reason.BIAS_UNSUPPORTED: Advice(
            "The adapter trains biases, which engines cannot load.", 'train with `bias="none"`'
        ),
        Reason.VARIANT_UNSUPPORTED: Advice(
            "The adapter uses a variant of LoRA that the engines do not serve. As a note: a"
            " setting is not known here, and engines pass over it.",
            "train plain LoRA, or convert the adapter to it with PEFT",
        ),
        Reason.BASE_MODEL_OTHER: Advice(
            "The adapter is for another base model.", "train on the base model that is named"
        ),
        Reason.BASE_MODEL_DIGEST: Advice(
            "The base model it was trained on is not, byte for byte, the one served here; or it"
            " is not said which it was.",
            "train on the base model's files that the operator gives, and say their digest",
        ),
        # Tensors against the base model
        Reason.TENSOR_NAME: Advice(
            "A tensor has a name that belongs to no module which this adapter may change.",
            "save the adapter alone, `save_embedding_layers=False`, for the base model served",
        ),
        Reason.TENSOR_SHAPE: Advice(
            "A tensor's shape does not fit the base model or the rank.",
            "train on the base model that is served, and send the configuration that belongs to"
            " the weights",
        ),
        Reason.TENSOR_MISSING: Advice(
            "An A is without its B, a B without its A, or a target module without either.", _NEW
        ),
        # Numbers
        Reason.NOT_FINITE: Advice(
            "The weights hold NaN or infinity: training diverged.",
            "train with a lower rate, or take an earlier checkpoint",
        ),
        Reason.NORM_ABSURD: Advice(
            "The weights are so large that they would drown the base model.",
            "train with a lower rate or weight decay, and look at `lora_alpha`",
        ),
        Reason.ALL_ZERO: Advice(
            "All B matrices are zero: the adapter changes nothing.",
            "save the adapter after training, not before",
        ),
        # Card, evaluation set, teaching lines
        Reason.CARD_MISSING: Advice(
            "A note: the adapter has no README.md that says what it is for.",
            "write one: data, training, what it is for and not for",
        ),
        Reason.TEXT_NOT_UTF8: Advice("A text is not UTF-8.", "save the file as UTF-8"),
        Reason.EVALUATION_MALFORMED: Advice(
            "A line of `evaluation.jsonl` is no case.", "mend the lines that are named"
        ),
        Reason.EXPERT_MALFORMED: Advice(
            "`expert.yaml` or `prompt.md` does not make an expert.",
            "mend what is named; `tame experts check` finds the same beforehand",
        ),
        Reason.UTTERANCES_MALFORMED: Advice(
            "A file of teaching lines cannot be read, or teaches nothing.",
            "mend the lines that are named; one utterance a line",
        ),
        Reason.DOMAIN_COLLISION: Advice(
            "The new domain takes questions from experts that are there, its lines almost stand"
            " among theirs, or it leads few of its own.",
            "change teaching lines that another expert answers, write more of its own, or agree"
            " with the operator",
        ),
        # Signature
        Reason.SIGNATURE_MISSING: Advice(
            "The tenant's policy wants a signature, and there is no `model.sig`.",
            "sign the folder: `tame adapter sign DIR --key FILE`",
        ),
        Reason.SIGNATURE_INVALID: Advice(
            "The signature does not belong to these files.",
            "sign the folder again when nothing in it changes any more",
        ),
        Reason.SIGNER_UNKNOWN: Advice(
            "The signature is of a key or certificate that the tenant's policy does not name.",
            "sign with one that it names, or ask the operator to add yours",
        ),
        # Gate
        Reason.MUST_PASS_FAILED: Advice(
            "A case that must be passed was not.", "train on more examples of it"
        ),
        Reason.WORSE_THAN_LIVE: Advice(
            "It answers its own evaluation set worse than the live revision.",
            "train longer or on better data; the report names the cases",
        ),
        Reason.HARMS_OTHER_DOMAIN: Advice(
            "With it, another domain's evaluation set is answered worse.",
            "train with fewer steps or a smaller rank, or mix in general examples",
        ),
        Reason.SIMPLIFIED_CHINESE: Advice(
            "Its answers hold too many Simplified characters.",
            "convert the training data to Traditional Chinese with Taiwan usage",
        ),
        Reason.TOO_SLOW: Advice(
            "Its tokens take longer than the live revision's.",
            "train with a smaller rank or fewer target modules",
        ),
        Reason.TOO_MUCH_MEMORY: Advice(
            "It takes more memory than the live revision.",
            "train with a smaller rank or fewer target modules",
        ),
        Reason.ENGINE_REFUSED: Advice(
            "The engine did not load it, or did not answer with it.",
            "look at the engine's words in the message; ask the operator",
        ),
        Reason.TOO_FEW_CASES: Advice(
            "The evaluation set is too small to decide anything.", "write more cases"
        ),
        # Canary
        Reason.NOT_PUBLISHED: Advice(
            "A note: it was found good as a canary, and could not be published for all; it goes"
            " on as it is, on trial anew.",
            "see to what the message names, then `tame adapter publish`; found good once more, it"
            " is tried again",
        ),
        Reason.NOT_PROVEN: Advice(
            "A note: it was found good as a shadow, and that could not be noted; it goes on"
            " answering copies, on trial anew.",
            "see to what the message names; found good once more, it is tried again",
        ),
        Reason.NOT_ROLLED_BACK: Advice(
            "A note: it was found worse than what is live, and could not be rolled back; it goes"
            " on as it is.",
            "see to what the message names, then `tame adapter rollback`",
        ),
    }
)
"""Of every reason."""
