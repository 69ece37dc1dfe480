"""Self-attention of 12 heads and 768 features, as in BERT-base and ViT-B."""

from benchmarks.tasks.task import LossPart, Published, Size, Task, features, values

TASK = Task(
    title="Attention 768, 12 heads",
    reference="Vaswani et al.: Attention is all you need, 2017",
    inputs={"steps": features(128, 768)},
    targets={"wanted": values(128, 768)},
    loss=(LossPart("mse", "output", "wanted"),),
    published=Published(parameters=4 * 768 * 769, macs=128 * 4 * 768**2 + 2 * 128**2 * 768),
    sizes={
        "quick": Size(batch=2, shapes={"steps": (32, 768), "wanted": (32, 768)}),
        "standard": Size(batch=32),
        "large": Size(batch=32, shapes={"steps": (512, 768), "wanted": (512, 768)}),
    },
)
