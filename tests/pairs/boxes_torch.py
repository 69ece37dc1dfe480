import torch
from torch import nn
from torch.nn import functional as F


class Detector(nn.Module):
    """One box and one class for each of a fixed number of slots."""

    def __init__(self, slots=5, classes=3):
        super().__init__()
        self.slots = slots
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.boxes = nn.Linear(8, slots * 4)
        self.classes = nn.Linear(8, slots * classes)

    def forward(self, image):
        x = self.features(image)
        return {
            "boxes": torch.sigmoid(self.boxes(x)).view(-1, self.slots, 4),
            "classes": self.classes(x).view(len(x), self.slots, -1),
        }


def loss(outputs, targets):
    mask = targets["seen.mask"]
    box = F.smooth_l1_loss(outputs["boxes"], targets["seen.boxes"], reduction="none").sum(-1)
    kind = F.cross_entropy(
        outputs["classes"].flatten(0, 1), targets["seen.classes"].flatten(), reduction="none"
    )
    return {"box": box[mask].mean(), "class": kind.view_as(mask)[mask].mean()}
