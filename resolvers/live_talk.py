"""Root fields of what is said in live rooms: messages, likes, and what moderators do about them."""

from typing import Annotated

import strawberry

from app import ids
from app.context import Info
from app.services import live_rooms_talk
from resolvers.problems import returns_problems
from schema.fields import Price
from schema.live_rooms import (
    LiftLiveMuteInput,
    LikeLiveRoomInput,
    LikeLiveRoomResult,
    MuteLiveViewerInput,
    MuteLiveViewerResult,
    PostLiveMessageInput,
    PostLiveMessageResult,
    ReleaseLiveMessageInput,
    ReleaseLiveMessageResult,
)

_MESSAGE = Price(units=10, is_chat=True)


@strawberry.type
class LiveTalkMutation:
    @strawberry.mutation(description="发言。Posts a message.", metadata=_MESSAGE.metadata())
    @returns_problems
    async def post_live_message(
        self,
        info: Info,
        input: Annotated[
            PostLiveMessageInput, strawberry.argument(description="发言内容。What to say.")
        ],
    ) -> PostLiveMessageResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        message_id = await info.context.resources.database.change(
            live_rooms_talk.post, info.context.viewer, room_id=room_id, text=input.text
        )
        return await info.context.load.one("LiveMessage", message_id)

    @strawberry.mutation(description="点赞，游客也可以。Likes a room; guests may too.")
    @returns_problems
    async def like_live_room(
        self,
        info: Info,
        input: Annotated[LikeLiveRoomInput, strawberry.argument(description="点赞。The likes.")],
    ) -> LikeLiveRoomResult:
        room_id = ids.key_of("LiveRoom", input.room_id)
        await info.context.resources.database.change(
            live_rooms_talk.like, info.context.viewer, room_id=room_id, count=input.count
        )
        return await info.context.load.one("LiveRoom", room_id)

    @strawberry.mutation(
        description="禁言一条发言的作者，主播与客服专用。Mutes an author; host and staff only."
    )
    @returns_problems
    async def mute_live_viewer(
        self,
        info: Info,
        input: Annotated[
            MuteLiveViewerInput, strawberry.argument(description="谁、多久。Who and how long.")
        ],
    ) -> MuteLiveViewerResult:
        mute_id = await info.context.resources.database.change(
            live_rooms_talk.mute,
            info.context.viewer,
            message_id=ids.key_of("LiveMessage", input.message_id),
            seconds=input.seconds,
        )
        return await info.context.load.one("LiveMute", mute_id)

    @strawberry.mutation(description="解除禁言，主播与客服专用。Lifts a mute; host and staff only.")
    @returns_problems
    async def lift_live_mute(
        self,
        info: Info,
        input: Annotated[LiftLiveMuteInput, strawberry.argument(description="哪个。Which.")],
    ) -> MuteLiveViewerResult:
        mute_id = ids.key_of("LiveMute", input.mute_id)
        await info.context.resources.database.change(
            live_rooms_talk.lift, info.context.viewer, mute_id=mute_id
        )
        return await info.context.load.one("LiveMute", mute_id)

    @strawberry.mutation(
        description="放行一条被拦下的发言，主播与客服专用。Releases a message; host and staff only."
    )
    @returns_problems
    async def release_live_message(
        self,
        info: Info,
        input: Annotated[ReleaseLiveMessageInput, strawberry.argument(description="哪条。Which.")],
    ) -> ReleaseLiveMessageResult:
        message_id = ids.key_of("LiveMessage", input.message_id)
        await info.context.resources.database.change(
            live_rooms_talk.release, info.context.viewer, message_id=message_id
        )
        return await info.context.load.one("LiveMessage", message_id)
